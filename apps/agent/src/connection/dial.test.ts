import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, type Server } from 'node:tls';
import {
  type Authority,
  certificateSha256,
  createAuthority,
  generateKeyPair,
  issueCertificate,
} from '@rancher/pki';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { dial, matchesPin, WrongServerError } from './dial.ts';

let authority: Authority;
let other: Authority;
const servers: Server[] = [];
beforeAll(async () => {
  [authority, other] = await Promise.all([
    createAuthority({ commonName: 'ours' }),
    createAuthority({ commonName: 'ours' }),
  ]);
});
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** A server whose certificate `signer` signed, and which shows `shown` as its authority. */
async function serve(
  signer: Authority,
  shown: Authority,
): Promise<{ url: URL; leafPem: string; received: string[] }> {
  const { publicKeyPem, privateKeyPem } = generateKeyPair();
  const { certificatePem } = await issueCertificate(signer, {
    publicKeyPem,
    commonName: 'server',
    usages: ['server'],
  });
  const received: string[] = [];
  const options = { key: privateKeyPem, cert: certificatePem + shown.certificatePem };
  const server = createServer(options, (socket) => socket.on('data', (data) => received.push(String(data))));
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: new URL(`https://127.0.0.1:${(server.address() as AddressInfo).port}`),
    leafPem: certificatePem,
    received,
  };
}

describe('a pinned server', () => {
  it('is known by its own certificate', async () => {
    const { url, leafPem } = await serve(authority, authority);
    (await dial(url, certificateSha256(leafPem))).destroy();
  });

  it('is known by the authority that signed it', async () => {
    const { url } = await serve(authority, authority);
    (await dial(url, certificateSha256(authority.certificatePem))).destroy();
  });

  it('is not another one, even one that shows the right authority beside its own certificate', async () => {
    const stranger = await serve(other, other);
    const forger = await serve(other, authority);
    const pin = certificateSha256(authority.certificatePem);
    await expect(dial(stranger.url, pin)).rejects.toThrow(WrongServerError);
    await expect(dial(forger.url, pin)).rejects.toThrow('is not the server of this host');
    expect(forger.received).toEqual([]);
  });

  it('is not one whose certificate has expired', async () => {
    const { leafPem } = await serve(authority, authority);
    const leaf = new X509Certificate(leafPem);
    const later = new Date(leaf.validToDate.getTime() + 1);
    expect(matchesPin(leaf, certificateSha256(authority.certificatePem), later)).toBe(false);
    expect(matchesPin(undefined, 'x', later)).toBe(false);
  });
});

it('without a pin is judged by the roots of the system', async () => {
  const { url } = await serve(authority, authority);
  await expect(dial(url, undefined)).rejects.toThrow(/certificate/);
});

it('is spoken to without TLS on loopback alone', async () => {
  await expect(dial(new URL('http://192.0.2.1:1'), undefined)).rejects.toThrow(
    'plain HTTP is for loopback alone',
  );
});

it('that is not there is said to be so', async () => {
  await expect(dial(new URL('https://127.0.0.1:1'), 'x')).rejects.toThrow('ECONNREFUSED');
});
