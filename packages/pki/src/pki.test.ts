import { execFileSync } from 'node:child_process';
import { randomBytes, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, createServer } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type Authority,
  certificateSha256,
  createAuthority,
  generateKeyPair,
  issueCertificate,
  openSecret,
  publicKeyOf,
  sealSecret,
} from './index.ts';

let authority: Authority;
let other: Authority;
let dir: string;

beforeAll(async () => {
  authority = await createAuthority({ commonName: 'kubernetes', years: 10 });
  other = await createAuthority({ commonName: 'kubernetes', years: 10 });
  dir = mkdtempSync(join(tmpdir(), 'rancher-pki-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

async function leaf(issuer: Authority, overrides: object = {}) {
  const keys = generateKeyPair();
  const issued = await issueCertificate(issuer, {
    publicKeyPem: keys.publicKeyPem,
    commonName: 'system:node:host-1',
    organizations: ['system:nodes'],
    dnsNames: ['host-1', 'localhost'],
    ipAddresses: ['127.0.0.1', '10.43.0.1', 'fd00::1'],
    usages: ['server', 'client'],
    ...overrides,
  });
  return { ...issued, privateKeyPem: keys.privateKeyPem };
}

/** Connects over TLS on loopback, both sides with certificates; gives what each saw of the other. */
async function handshake(trusted: Authority, server: Awaited<ReturnType<typeof leaf>>, client = server) {
  const listener = createServer({
    key: server.privateKeyPem,
    cert: server.certificatePem,
    ca: trusted.certificatePem,
    requestCert: true,
    rejectUnauthorized: true,
  });
  listener.on('tlsClientError', () => {});
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  try {
    return await new Promise<string>((resolve, reject) => {
      listener.once('secureConnection', (socket) => {
        resolve(String(socket.getPeerCertificate().subject.CN));
        socket.destroy();
      });
      const socket = connect({
        port: (listener.address() as AddressInfo).port,
        host: '127.0.0.1',
        ca: trusted.certificatePem,
        key: client.privateKeyPem,
        cert: client.certificatePem,
      });
      socket.once('error', reject);
    });
  } finally {
    listener.close();
  }
}

describe('certificates', () => {
  it('serve mutual TLS, by address, under their authority', async () => {
    expect(await handshake(authority, await leaf(authority))).toBe('system:node:host-1');
  });

  it('are refused under another authority of the same name', async () => {
    await expect(handshake(other, await leaf(authority))).rejects.toThrow();
  });

  it('satisfy openssl in strict mode, for both purposes', async () => {
    const issued = await leaf(authority);
    writeFileSync(join(dir, 'ca.pem'), authority.certificatePem);
    writeFileSync(join(dir, 'leaf.pem'), issued.certificatePem);
    for (const purpose of ['sslserver', 'sslclient']) {
      const out = execFileSync(
        'openssl',
        ['verify', '-x509_strict', '-purpose', purpose, '-CAfile', 'ca.pem', 'leaf.pem'],
        { cwd: dir, encoding: 'utf8' },
      );
      expect(out).toContain('OK');
    }
  });

  it('carry Kubernetes’ user and groups, names, usages and key identifiers', async () => {
    const issued = await leaf(authority, { organizations: ['system:nodes', 'others'] });
    const cert = new X509Certificate(issued.certificatePem);
    const ca = new X509Certificate(authority.certificatePem);
    expect(cert.subject).toBe('O=system:nodes\nO=others\nCN=system:node:host-1');
    expect(cert.subjectAltName).toBe(
      'DNS:host-1, DNS:localhost, IP Address:127.0.0.1, IP Address:10.43.0.1, IP Address:FD00:0:0:0:0:0:0:1',
    );
    expect(cert.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
    expect(cert.ca).toBe(false);
    expect(ca.ca).toBe(true);
    expect(cert.checkIssued(ca)).toBe(true);
    expect(cert.verify(ca.publicKey)).toBe(true);
  });

  it('start in the past, last as long as asked, and never outlive their authority', async () => {
    const now = Date.now();
    const issued = await leaf(authority, { days: 30 });
    const cert = new X509Certificate(issued.certificatePem);
    expect(cert.validFromDate.getTime()).toBeLessThan(now - 4 * 60_000);
    expect(cert.validToDate.getTime()).toBe(issued.notAfter.getTime());
    expect(Math.round((issued.notAfter.getTime() - now) / 86_400_000)).toBe(30);
    const forever = await leaf(authority, { days: 36_500 });
    expect(forever.notAfter.getTime()).toBe(
      new X509Certificate(authority.certificatePem).validToDate.getTime(),
    );
  });

  it('have serial numbers of their own', async () => {
    const serials = await Promise.all(
      Array.from({ length: 20 }, async () => {
        return new X509Certificate((await leaf(authority)).certificatePem).serialNumber;
      }),
    );
    expect(new Set(serials).size).toBe(20);
  });

  it('have the hash that openssl gives', () => {
    writeFileSync(join(dir, 'ca.pem'), authority.certificatePem);
    const out = execFileSync('openssl', ['x509', '-in', 'ca.pem', '-noout', '-fingerprint', '-sha256'], {
      cwd: dir,
      encoding: 'utf8',
    });
    expect(certificateSha256(authority.certificatePem)).toBe(
      out.split('=')[1]!.trim().replaceAll(':', '').toLowerCase(),
    );
  });

  it('refuse a public key that is none', async () => {
    await expect(leaf(authority, { publicKeyPem: 'hello' })).rejects.toThrow();
  });

  it('know the public half of a private key', () => {
    const keys = generateKeyPair();
    expect(publicKeyOf(keys.privateKeyPem)).toBe(keys.publicKeyPem);
  });
});

describe('sealing', () => {
  const key = randomBytes(32);

  it('opens what it sealed, text or bytes, empty too', () => {
    for (const secret of ['', 'a secret', randomBytes(4096)]) {
      expect(openSecret(key, sealSecret(key, secret))).toEqual(Buffer.from(secret as string));
    }
  });

  it('never gives the same bytes twice', () => {
    expect(sealSecret(key, 'a')).not.toEqual(sealSecret(key, 'a'));
  });

  it('refuses another key, a changed bit, and a cut text', () => {
    const sealed = sealSecret(key, 'a secret');
    expect(() => openSecret(randomBytes(32), sealed)).toThrow();
    expect(() => openSecret(key, sealed.subarray(0, 20))).toThrow();
    for (const i of [0, 5, 20, sealed.length - 1]) {
      const changed = Buffer.from(sealed);
      changed[i]! ^= 1;
      expect(() => openSecret(key, changed)).toThrow();
    }
  });

  it('refuses a master key of the wrong length', () => {
    expect(() => sealSecret(randomBytes(16), 'a')).toThrow('32 bytes');
  });
});
