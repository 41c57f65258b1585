/**
 * Protects clients of the Kubernetes API from waiting for ever for the answer to a write that was lost on its way, and from
 * one API server's word for all.
 */
import { once } from 'node:events';
import { Agent, createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { KeyPrincipal } from '../auth/principal.ts';
import { createKubeProxy } from './kube-proxy.ts';

/** Answers /ready… at once, /late after a while and nothing else; the first with 500 where that is wished for. */
let apiServer: Server;
let front: Server;
let base: string;
let failsNext = false;
let asked: string[] = [];
let sockets: number[] = [];

const listening = async (server: Server) => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
};

beforeAll(async () => {
  apiServer = createServer((request, response) => {
    request.resume();
    asked.push(request.url!);
    sockets.push(request.socket.remotePort!);
    const fails = failsNext;
    failsNext = false;
    if (fails) return response.writeHead(500).end('[-]etcd failed');
    if (request.url?.startsWith('/ready')) return response.end('ok');
    if (request.url?.includes('late')) setTimeout(() => response.end('{}'), 600);
    return undefined;
  });
  const port = await listening(apiServer);
  const dialled = new Agent({ keepAlive: true });
  const dial = dialled.createConnection.bind(dialled);
  dialled.createConnection = (options, done) => dial({ ...options, host: '127.0.0.1', port }, done);
  const proxy = createKubeProxy({
    agents: { holds: () => true, isSilent: () => false, answers: async () => true },
    upstreams: { agent: () => dialled, agentForOnce: () => dialled, close() {} },
    hostsOf: { find: async () => ['host_1', 'host_2'] } as unknown as Parameters<
      typeof createKubeProxy
    >[0]['hostsOf'],
    answeredWithinMs: 300,
  });
  const principal = {
    kind: 'key',
    id: 'key_1',
    role: 'admin',
    environmentId: null,
  } as unknown as KeyPrincipal;
  front = createServer((request, response) => {
    proxy
      .forward(request, response, principal, () => {})
      .catch((error: { code: string }) => {
        response.writeHead(503).end(error.code);
      });
  });
  base = `http://127.0.0.1:${await listening(front)}/k8s/environments/env_1`;
});
afterAll(() => {
  for (const server of [front, apiServer]) {
    server?.closeAllConnections();
    server?.close();
  }
});

it('a write that is not answered in time ends, with a reason', async () => {
  const answer = await fetch(`${base}/api/v1/namespaces`, { method: 'POST', body: '{}' });
  expect([answer.status, await answer.text()]).toEqual([503, 'host_unreachable']);
});

it('a read may take longer, and so may what the API server passes on', async () => {
  expect((await fetch(`${base}/api/v1/late`)).status).toBe(200);
  const passedOn = await fetch(`${base}/api/v1/namespaces/x/pods/y/proxy/late`, {
    method: 'POST',
    body: '{}',
  });
  expect(passedOn.status).toBe(200);
});

it('is ready while one of its API servers is, and whatever else one says is what is said', async () => {
  asked = [];
  failsNext = true;
  const ready = await fetch(`${base}/readyz?verbose`);
  expect([ready.status, await ready.text(), asked]).toEqual([
    200,
    'ok',
    ['/readyz?verbose', '/readyz?verbose'],
  ]);
  asked = [];
  failsNext = true;
  const other = await fetch(`${base}/readyzz`);
  expect([other.status, await other.text(), asked]).toEqual([500, '[-]etcd failed', ['/readyzz']]);
});

it('a connection over which an API server said that it failed is not used again', async () => {
  failsNext = true;
  sockets = [];
  for (const wanted of [500, 200, 200])
    expect((await fetch(`${base}/ready`).then(async (a) => [a.status, await a.text()]))[0]).toBe(wanted);
  const [failed, next, last] = sockets;
  expect(next).not.toBe(failed);
  expect(last).toBe(next);
});
