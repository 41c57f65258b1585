import { once } from 'node:events';
import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { connect as connectTls } from 'node:tls';
import { createAuthority, generateKeyPair, issueCertificate } from '@rancher/pki';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isLoopback, type Listener, listenOn } from './listener.ts';

let listener: Listener;
let ca: string;
let port: number;

/** An address of this machine that is not loopback, if it has one. */
const outer = Object.values(networkInterfaces())
  .flat()
  .find((entry) => entry?.family === 'IPv4' && !entry.internal)?.address;

beforeAll(async () => {
  const authority = await createAuthority({ commonName: 'test' });
  const keys = generateKeyPair();
  const { certificatePem } = await issueCertificate(authority, {
    publicKeyPem: keys.publicKeyPem,
    commonName: 'server',
    ipAddresses: ['127.0.0.1', ...(outer === undefined ? [] : [outer])],
    usages: ['server'],
  });
  ca = authority.certificatePem;
  listener = await listenOn({
    port: 0,
    addresses: ['127.0.0.1', ...(outer === undefined ? [] : [outer])],
    tls: { cert: certificatePem, key: keys.privateKeyPem },
    onRequest: (request, response) => {
      request.resume();
      response.end(`${'encrypted' in request.socket ? 'tls' : 'plain'} ${request.url}`);
    },
    onUpgrade: (_request, socket) => socket.end('HTTP/1.1 101 Switching Protocols\r\n\r\nupgraded'),
  });
  port = listener.addresses[0]!.port;
});
afterAll(() => listener?.close());

const get = (path: string, headers = '') =>
  `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${headers}\r\n`;

async function all(stream: AsyncIterable<Buffer>): Promise<string> {
  let heard = '';
  for await (const chunk of stream) heard += chunk;
  return heard;
}

describe('one port, two protocols', () => {
  it('answers plain HTTP on loopback', async () => {
    const socket = connect(port, '127.0.0.1');
    socket.write(get('/a'));
    expect(await all(socket)).toContain('plain /a');
  });

  it('answers TLS with a certificate that its authority vouches for', async () => {
    const socket = connectTls({ port, host: '127.0.0.1', ca });
    await once(socket, 'secureConnect');
    expect(socket.authorized).toBe(true);
    expect(socket.alpnProtocol).toBe(false);
    socket.write(get('/b'));
    expect(await all(socket)).toContain('tls /b');
  });

  it('answers TLS clients that also offer HTTP/2 with HTTP/1.1', async () => {
    const socket = connectTls({ port, host: '127.0.0.1', ca, ALPNProtocols: ['h2', 'http/1.1'] });
    await once(socket, 'secureConnect');
    expect(socket.alpnProtocol).toBe('http/1.1');
    socket.destroy();
  });

  it('takes a request that comes byte by byte, and several on one connection', async () => {
    const socket = connect(port, '127.0.0.1');
    for (const byte of `GET /1 HTTP/1.1\r\nHost: x\r\n\r\n${get('/2')}`) socket.write(byte);
    const heard = await all(socket);
    expect(heard).toContain('plain /1');
    expect(heard).toContain('plain /2');
  });

  it('takes a body that comes with the first packet', async () => {
    const socket = connect(port, '127.0.0.1');
    socket.write(
      `POST /c HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 100000\r\n\r\n${'x'.repeat(100_000)}`,
    );
    expect(await all(socket)).toContain('plain /c');
  });

  it('hands on upgrades of both', async () => {
    const upgrade = get('/u', 'Upgrade: x\r\n').replace('Connection: close', 'Connection: Upgrade');
    const plain = connect(port, '127.0.0.1');
    plain.write(upgrade);
    expect(await all(plain)).toContain('upgraded');
    const secure = connectTls({ port, host: '127.0.0.1', ca });
    secure.write(upgrade);
    expect(await all(secure)).toContain('upgraded');
  });

  it.skipIf(outer === undefined)('speaks TLS alone on other addresses', async () => {
    const plain = connect(port, outer!);
    plain.write(get('/secret'));
    const heard = await all(plain);
    expect(heard).toContain('400 Bad Request');
    expect(heard).not.toContain('/secret');
    const secure = connectTls({ port, host: outer!, ca });
    secure.write(get('/d'));
    expect(await all(secure)).toContain('tls /d');
  });

  it('survives who says nothing, nonsense, or half a handshake', async () => {
    for (const bytes of [[], [0], [0x16, 3, 1, 0, 1, 0]]) {
      const socket = connect(port, '127.0.0.1');
      socket.on('error', () => {});
      socket.resume().end(Buffer.from(bytes));
      await once(socket, 'close');
    }
    const socket = connect(port, '127.0.0.1');
    socket.write(get('/still'));
    expect(await all(socket)).toContain('plain /still');
  });

  it('names the address that cannot be had', async () => {
    const again = listenOn({
      port,
      addresses: ['127.0.0.1'],
      tls: { cert: '', key: '' },
      onRequest: () => {},
      onUpgrade: () => {},
    });
    await expect(again).rejects.toThrow(/EADDRINUSE.*127\.0\.0\.1/);
  });
});

describe('isLoopback', () => {
  it.each([
    ['127.0.0.1', true],
    ['127.8.9.1', true],
    ['::1', true],
    ['::ffff:127.0.0.1', true],
    ['10.0.0.1', false],
    ['::ffff:10.0.0.1', false],
    [undefined, false],
  ])('%s: %s', (address, expected) => expect(isLoopback(address)).toBe(expected));
});
