import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ProbeSpec, probeDefaults } from '@rancher/domain';
import { createAuthority, generateKeyPair, issueCertificate } from '@rancher/pki';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Check, createCheck } from './probe.ts';

let dir: string;
let server: Server | undefined;
let check: Check;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'rancher-probe-'));
});
afterEach(async () => {
  check?.close();
  if (server?.listening) await new Promise((resolve) => server?.close(resolve));
  rmSync(dir, { recursive: true });
});

async function listen(what: Server, where: object = { port: 0, host: '127.0.0.1' }): Promise<number> {
  server = what;
  server.listen(where);
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}
const look = (handler: Partial<ProbeSpec>) => {
  check = createCheck({ ...probeDefaults, ...handler });
  return check.run(AbortSignal.timeout(500));
};
const http = (port: number, scheme: 'http' | 'https' = 'http') => ({
  httpGet: { scheme, host: '127.0.0.1', port, path: '/healthz' },
});

describe('HTTP', () => {
  it('is content with 200 to 399, and keeps its connection', async () => {
    let connections = 0;
    const web = createHttpServer((_request, response) => response.writeHead(302).end());
    web.on('connection', () => connections++);
    const port = await listen(web);
    await look(http(port));
    await check.run(AbortSignal.timeout(500));
    expect(connections).toBe(1);
    expect(check.what).toBe(`HTTP probe http://127.0.0.1:${port}/healthz`);
    web.closeAllConnections();
  });

  it('gives the status and the last words of what is not', async () => {
    const port = await listen(
      createHttpServer((_request, response) => response.writeHead(500).end('[+]ping ok\n[-]etcd failed\n')),
    );
    await expect(look(http(port))).rejects.toThrow('status 500: [+]ping ok [-]etcd failed');
  });

  it('takes any certificate', async () => {
    const { publicKeyPem, privateKeyPem } = generateKeyPair();
    const authority = await createAuthority({ commonName: 'x' });
    const { certificatePem } = await issueCertificate(authority, {
      publicKeyPem,
      commonName: 'x',
      usages: ['server'],
    });
    const options = { key: privateKeyPem, cert: certificatePem };
    const port = await listen(createHttpsServer(options, (_request, response) => response.end('ok')));
    await look(http(port, 'https'));
  });

  it('bears that the other side closes a connection between two looks', async () => {
    const web = createHttpServer((_request, response) => response.end('ok'));
    const port = await listen(web);
    await look(http(port));
    web.closeAllConnections();
    await check.run(AbortSignal.timeout(500));
  });

  it('does not wait longer than it is told', async () => {
    const web = createHttpServer(() => {});
    const port = await listen(web);
    await expect(look(http(port))).rejects.toThrow();
    web.closeAllConnections();
  });

  it('says when nobody listens', async () => {
    await expect(look(http(1))).rejects.toThrow('ECONNREFUSED');
  });
});

describe('TCP', () => {
  it('is content with a connection', async () => {
    const port = await listen(createTcpServer((socket) => socket.end()));
    await look({ tcpSocket: { host: '127.0.0.1', port } });
    await expect(look({ tcpSocket: { host: '127.0.0.1', port: 1 } })).rejects.toThrow('ECONNREFUSED');
  });
});

describe('exec', () => {
  it('is content with exit code 0, and gives the last words otherwise', async () => {
    await look({ exec: { command: ['/bin/true'] } });
    const command = ['/bin/sh', '-c', 'echo first; echo the reason >&2; exit 3'];
    await expect(look({ exec: { command } })).rejects.toThrow('exit 3: the reason');
  });
});

describe('gRPC', () => {
  const answer = (body: number[], status = '0') => {
    const grpc = createHttp2Server();
    grpc.on('stream', (stream, headers) => {
      if (headers[':path'] !== '/grpc.health.v1.Health/Check') return stream.close();
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': status }));
      stream.end(Buffer.from(body));
    });
    return grpc as unknown as Server;
  };
  const socketPath = () => join(dir, 'grpc.sock');

  it('is content with SERVING alone', async () => {
    await listen(answer([0, 0, 0, 0, 2, 8, 1]), { path: socketPath() });
    await look({ grpc: { socketPath: socketPath() } });
  });
  it('is not with NOT_SERVING', async () => {
    await listen(answer([0, 0, 0, 0, 2, 8, 2]), { path: socketPath() });
    await expect(look({ grpc: { socketPath: socketPath() } })).rejects.toThrow('not serving');
  });
  it('is not with an error', async () => {
    await listen(answer([], '12'), { path: socketPath() });
    await expect(look({ grpc: { socketPath: socketPath() } })).rejects.toThrow('gRPC status 12');
  });
  it('says when there is no socket', async () => {
    await expect(look({ grpc: { socketPath: socketPath() } })).rejects.toThrow('ENOENT');
  });
});
