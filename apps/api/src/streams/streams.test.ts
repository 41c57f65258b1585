import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { homedir } from 'node:os';
import { join as joinPath } from 'node:path';
import { text } from 'node:stream/consumers';
import { createArtifactStore } from '@rancher/artifacts';
import { newId } from '@rancher/domain';
import { type Authority, createAuthority, generateKeyPair, issueCertificate, sealSecret } from '@rancher/pki';
import { freePort, until } from '@rancher/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRegistrationToken } from '../intent/registration-tokens.ts';
import { dial, join, type TestAgent } from '../testing/agent.ts';
import { type Harness, startHarness } from '../testing/harness.ts';

let api: Harness;
let environmentId: string;
let agent: TestAgent;
let kube: Server;
let watchers: Socket[];
const silent: Socket[] = [];
const large = randomBytes(20_000_000);
const serving: { [target: string]: number } = {};
const authorities: Record<string, Authority> = {};

beforeAll(async () => {
  api = await startHarness();
  const created = await api.call('POST', '/v1/environments', { body: { name: 'streams' } });
  environmentId = created.body.target.id;
  for (const name of ['kubernetes', 'etcd']) {
    authorities[name] = await createAuthority({ commonName: name });
    const ciphertext = Uint8Array.from(sealSecret(api.context.masterKey, JSON.stringify(authorities[name])));
    await api.database.prisma.environmentSecret.create({
      data: { environmentId, name: `ca/${name}`, ciphertext },
    });
  }
  kube = await startKube();
  serving['kube-apiserver'] = (kube.address() as AddressInfo).port;
  agent = await joined('h-1');
  await runs('kube-apiserver', agent.hostId);
});
afterAll(async () => {
  agent?.close();
  kube?.closeAllConnections();
  kube?.close();
  await api?.stop();
});

async function joined(name: string): Promise<TestAgent> {
  const { token } = await api.database.prisma.$transaction((tx) =>
    createRegistrationToken(tx, { environmentId, description: '', maxUses: 1, expiresInSeconds: 60 }),
  );
  const made = await dial(api, (await join(api, token, name)).body, serving);
  made.hello();
  await made.hear('slice');
  return made;
}

async function runs(name: string, hostId: string): Promise<void> {
  const { prisma } = api.database;
  const service = await prisma.service.findFirstOrThrow({ where: { environmentId, name } });
  await prisma.instance.create({
    data: {
      id: newId('instance'),
      environmentId,
      serviceId: service.id,
      service: name,
      hostId,
      specHash: '',
      planGeneration: 1,
      state: 'running',
      health: 'healthy',
      reason: '',
    },
  });
}

async function serverCertificate(authority: string, dnsNames: string[]) {
  const keys = generateKeyPair();
  const { certificatePem } = await issueCertificate(authorities[authority]!, {
    publicKeyPem: keys.publicKeyPem,
    commonName: dnsNames[0]!,
    dnsNames,
    usages: ['server', 'client'],
  });
  return { cert: certificatePem, key: keys.privateKeyPem, ca: authorities[authority]!.certificatePem };
}

/** What answers in place of an API server: it demands the client certificate, and says what it was asked. */
async function startKube(): Promise<Server> {
  watchers = [];
  const pems = await serverCertificate('kubernetes', ['kubernetes']);
  const server = createServer({ ...pems, requestCert: true, rejectUnauthorized: true }, async (req, res) => {
    if (req.url?.includes('watch=')) {
      watchers.push(req.socket);
      res.writeHead(200, { 'content-type': 'application/json' });
      res.write('{"type":"ADDED"}\n');
      return;
    }
    if (req.url === '/silent') {
      silent.push(req.socket);
      return;
    }
    if (req.url?.endsWith('/proxy')) {
      res.writeHead(301, { location: `${req.url}/` }).end();
      return;
    }
    const body = await text(req);
    const peer = (req.socket as import('node:tls').TLSSocket).getPeerCertificate();
    res.writeHead(req.url === '/teapot' ? 418 : 200, { 'content-type': 'application/json', 'x-kube': 'yes' });
    const socket = req.socket.remotePort;
    res.end(
      JSON.stringify({
        method: req.method,
        url: req.url,
        headers: req.headers,
        distinct: req.headersDistinct,
        body,
        subject: peer.subject,
        socket,
      }),
    );
  });
  server.on('upgrade', (req, socket) => {
    if (req.url === '/download') {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n');
      socket.end(large);
      return;
    }
    if (req.url === '/refuse-and-stay') {
      socket.write('HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\n\r\nno');
      return;
    }
    if (req.url === '/refuse') {
      socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno');
      return;
    }
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${req.headers.upgrade}\r\n\r\nhello `,
    );
    socket.pipe(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

/** Over the real port: the answer as it comes. */
async function ask(
  path: string,
  options: { key?: string | null; method?: string; body?: string; headers?: object } = {},
) {
  const key = options.key === undefined ? api.keys.admin : options.key;
  const req = request({
    host: '127.0.0.1',
    port: api.port,
    path: `/k8s/environments/${environmentId}${path}`,
    method: options.method ?? 'GET',
    headers: { ...(key === null ? {} : { authorization: `Bearer ${key}` }), ...options.headers },
  });
  req.end(options.body);
  const [answer] = (await once(req, 'response')) as [IncomingMessage];
  return answer;
}
const json = async (answer: IncomingMessage) => JSON.parse(await text(answer));

/** Upgraded, over the real port: the answer, the connection, and what came with the answer. */
async function upgrade(path: string) {
  const req = request({
    host: '127.0.0.1',
    port: api.port,
    path: `/k8s/environments/${environmentId}${path}`,
    headers: { authorization: `Bearer ${api.keys.admin}`, connection: 'Upgrade', upgrade: 'SPDY/3.1' },
  });
  req.end();
  return (await once(req, 'upgrade')) as [IncomingMessage, Socket, Buffer];
}

describe('/k8s/environments/:id', () => {
  it('sends a request on as the server, in the name of the caller', async () => {
    const answer = await ask('/api/v1/pods?limit=5', {
      method: 'POST',
      body: '{"a":1}',
      headers: {
        'content-type': 'application/json',
        'x-remote-user': 'root',
        accept: 'application/json',
      },
    });
    expect(answer.statusCode).toBe(200);
    expect(answer.headers['x-kube']).toBe('yes');
    const seen = await json(answer);
    expect(seen).toMatchObject({ method: 'POST', url: '/api/v1/pods?limit=5', body: '{"a":1}' });
    expect(seen.subject).toMatchObject({ CN: 'rancher-server', O: 'system:masters' });
    expect(seen.headers).toMatchObject({ 'impersonate-group': 'system:masters', accept: 'application/json' });
    expect(seen.headers['impersonate-user']).toMatch(/^rancher:key_/);
    for (const name of ['authorization', 'x-remote-user']) expect(seen.headers[name]).toBeUndefined();
  });

  it('acts as whom the caller asks to act as, and says in whose name', async () => {
    const groups = ['developers', 'system:authenticated'];
    const headers = {
      'impersonate-user': 'jane',
      'impersonate-group': groups,
      'impersonate-uid': '7',
      'impersonate-extra-scopes': 'view',
      'impersonate-extra-io.rancher%2fkey': 'somebody else',
    };
    const seen = (await json(await ask('/as', { headers }))) as { headers: object; distinct: object };
    expect(seen.distinct).toMatchObject({
      'impersonate-user': ['jane'],
      'impersonate-group': groups,
      'impersonate-uid': ['7'],
      'impersonate-extra-scopes': ['view'],
      'impersonate-extra-io.rancher%2fkey': [expect.stringMatching(/^key_/)],
    });
    // Without a user the API server refuses it: it must not be taken for the caller with more groups.
    const nameless = await ask('/as', { headers: { 'impersonate-group': 'system:masters' } });
    expect((await json(nameless)).headers['impersonate-user']).toBeUndefined();
  });

  it('a read-only key acts as nobody else: 403', async () => {
    const answer = await ask('/api/v1/pods', {
      key: api.keys.readOnly,
      headers: { 'impersonate-user': 'system:admin' },
    });
    expect(answer.statusCode).toBe(403);
    expect(await json(answer)).toMatchObject({ kind: 'Status', message: expect.stringContaining('--as') });
  });

  it('a read-only key may ask for anything, in a group that may only read', async () => {
    const answer = await ask('/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', {
      key: api.keys.readOnly,
      method: 'POST',
      body: '{}',
    });
    expect((await json(answer)).headers['impersonate-group']).toBe('rancher:read-only');
  });

  it('passes on the status, and uses a connection again', async () => {
    const first = await ask('/teapot');
    expect(first.statusCode).toBe(418);
    const { socket } = await json(first);
    expect((await json(await ask('/again'))).socket).toBe(socket);
  });

  it('streams a watch as it comes, and ends it when the caller goes', async () => {
    const answer = await ask('/api/v1/pods?watch=true');
    const [chunk] = await once(answer, 'data');
    expect(String(chunk)).toBe('{"type":"ADDED"}\n');
    answer.destroy();
    await until('the end of the watch', () => watchers.at(-1)!.destroyed);
  });

  it('asks no second time for a caller who has gone', async () => {
    // On a connection that was used before, where a GET that fails is asked again.
    await text(await ask('/api'));
    const asked = request({
      host: '127.0.0.1',
      port: api.port,
      path: `/k8s/environments/${environmentId}/silent`,
      headers: { authorization: `Bearer ${api.keys.admin}` },
    });
    asked.on('error', () => {}).end();
    await until('the request', () => silent.length === 1);
    asked.destroy();
    await until('the end of its connection', () => silent[0]!.destroyed);
    await text(await ask('/api'));
    expect(silent).toHaveLength(1);
  });

  it('redirects to where the API server means, below the path of the environment', async () => {
    const answer = await ask('/api/v1/namespaces/a/pods/b/proxy');
    expect(answer.statusCode).toBe(301);
    expect(answer.headers.location).toBe(
      `/k8s/environments/${environmentId}/api/v1/namespaces/a/pods/b/proxy/`,
    );
  });

  it('joins both sides of an upgrade', async () => {
    const [answer, socket, head] = await upgrade('/exec');
    expect(answer.headers.upgrade).toBe('SPDY/3.1');
    let heard = head.toString();
    socket.on('data', (chunk) => {
      heard += chunk;
    });
    socket.write('world');
    await until('the echo', () => heard === 'hello world');
    socket.destroy();
  });

  it('delivers all of what was sent before the end, to whoever is slow and still talks', async () => {
    const [, socket, head] = await upgrade('/download');
    const hash = createHash('sha256').update(head);
    let length = head.length;
    for await (const chunk of socket) {
      hash.update(chunk);
      length += chunk.length;
      if (!socket.destroyed && socket.writable) socket.write('.');
      await new Promise(setImmediate);
    }
    expect(length).toBe(large.length);
    expect(hash.digest('hex')).toBe(createHash('sha256').update(large).digest('hex'));
  });

  it('breaks the caller when the agent goes in the middle of an upgrade', async () => {
    const [, socket] = await upgrade('/exec');
    socket.on('error', () => {}).resume();
    agent.breakStreams();
    await until('the end', () => socket.destroyed || socket.readableEnded);
  });

  it('passes on the refusal of an upgrade', async () => {
    const answer = await ask('/refuse', { headers: { connection: 'Upgrade', upgrade: 'SPDY/3.1' } });
    expect(answer.statusCode).toBe(403);
    expect(await text(answer)).toBe('no');
  });

  it('uses no connection again whose upgrade was refused: the API server reads it no more, and keeps it a while', async () => {
    const refused = await ask('/refuse-and-stay', {
      headers: { connection: 'Upgrade', upgrade: 'SPDY/3.1' },
    });
    expect(await text(refused)).toBe('no');
    expect((await ask('/next', { method: 'POST', body: '{}' })).statusCode).toBe(200);
  });

  describe('of two hosts, one of which falls silent', () => {
    let other: TestAgent;
    beforeAll(async () => {
      other = await joined('h-2');
      await runs('kube-apiserver', other.hostId);
      api.context.hostsOf.forget(environmentId);
    });
    afterAll(async () => {
      other.close();
      await api.database.prisma.instance.deleteMany({ where: { hostId: other.hostId } });
      api.context.hostsOf.forget(environmentId);
    });
    const readOnce = async () => (await json(await ask('/api'))).url;

    it('a read that is under way there, and whatever is asked next, goes to the other at once', async () => {
      // Both connections are kept: it is on such a one that nothing is noticed. The newer host comes first.
      await readOnce();
      other.fallSilent();
      expect(await readOnce()).toBe('/api');
      expect((await ask('/write', { method: 'POST', body: '{}' })).statusCode).toBe(200);
      const [answer, socket] = await upgrade('/exec');
      expect(answer.statusCode).toBe(101);
      socket.destroy();
      // Its silence was not waited for.
      expect(api.context.agents.holds(other.hostId)).toBe(true);
    });

    it('the one with etcd beside it comes first, though it is the older one', async () => {
      const order = () => {
        api.context.hostsOf.forget(environmentId);
        return api.context.hostsOf.find(environmentId, 'kube-apiserver');
      };
      expect(await order()).toEqual([other.hostId, agent.hostId]);
      await runs('etcd', agent.hostId);
      expect(await order()).toEqual([agent.hostId, other.hostId]);
      await api.database.prisma.instance.deleteMany({ where: { service: 'etcd' } });
      expect(await order()).toEqual([other.hostId, agent.hostId]);
    });

    it('a watch ends with the connection of its agent', async () => {
      const hears = await joined('h-3');
      await runs('kube-apiserver', hears.hostId);
      api.context.hostsOf.forget(environmentId);
      const answer = await ask('/api/v1/pods?watch=true');
      answer.on('error', () => {});
      await once(answer, 'data');
      hears.socket.terminate();
      await until('the end of the watch', () => answer.destroyed);
      await api.database.prisma.instance.deleteMany({ where: { hostId: hears.hostId } });
      api.context.hostsOf.forget(environmentId);
    });
  });

  it('401 without a key, 404 for another environment, both as a Status that kubectl shows', async () => {
    const without = await ask('/api', { key: null });
    expect(without.statusCode).toBe(401);
    expect(await json(without)).toMatchObject({ kind: 'Status', reason: 'Unauthorized', code: 401 });
    const other = await api.call('POST', '/v1/environments', { body: { name: 'other' } });
    const unseen = await ask('/api', { key: await api.newKey('admin', other.body.target.id) });
    expect(await json(unseen)).toMatchObject({ kind: 'Status', reason: 'NotFound', code: 404 });
    const upgrade = await ask('/exec', { key: 'rk_wrong', headers: { connection: 'Upgrade', upgrade: 'x' } });
    expect(upgrade.statusCode).toBe(401);
  });

  it('503 while the API server does not listen, and for an environment without one', async () => {
    const { port } = kube.address() as AddressInfo;
    serving['kube-apiserver'] = await freePort();
    api.context.upstreams.close();
    const answer = await ask('/api');
    expect(await json(answer)).toMatchObject({ kind: 'Status', code: 503, reason: 'ServiceUnavailable' });
    serving['kube-apiserver'] = port;
    expect((await ask('/api')).statusCode).toBe(200);
    const other = await api.call('POST', '/v1/environments', { body: { name: 'empty' } });
    const none = await api.call('GET', `/k8s/environments/${other.body.target.id}/api`);
    expect(none.body).toMatchObject({ kind: 'Status', code: 503 });
  });
});

const store = createArtifactStore({ cacheDir: joinPath(homedir(), '.cache', 'rancher') });
const etcdHere = (await store.manifest({ name: 'etcd', version: '3.7.3' })) !== null;

describe('GET /internal/v1/environments/:id/etcd', () => {
  const look = (key: string) => api.call('GET', `/internal/v1/environments/${environmentId}/etcd`, { key });

  it('404 for whoever is not the system, and while there is none', async () => {
    for (const key of [api.keys.admin, api.keys.readOnly, api.keys.system])
      expect((await look(key)).status).toBe(404);
  });

  it.skipIf(!etcdHere)('200: what the members say, and who is silent', async () => {
    const etcd = await startEtcd();
    try {
      await runs('etcd', agent.hostId);
      const healthy = await until('etcd to be healthy', async () => {
        const { body } = await look(api.keys.system);
        return body.members?.[0]?.healthy === true && body;
      });
      expect(healthy.members).toEqual([
        expect.objectContaining({
          name: 'h-1',
          hostId: agent.hostId,
          healthy: true,
          leader: true,
          learner: false,
        }),
      ]);
      expect(healthy.alarms).toEqual([]);
    } finally {
      etcd.kill('SIGKILL');
      await once(etcd, 'exit');
    }
    const { body } = await look(api.keys.system);
    expect(body.members).toMatchObject([{ name: 'h-1', healthy: false, error: expect.any(String) }]);
  });
});

/** A real etcd that demands client certificates, as those of environments do. */
async function startEtcd(): Promise<ChildProcess> {
  const dir = joinPath(api.home, 'etcd');
  await mkdir(dir, { mode: 0o700 });
  const { cert, key, ca } = await serverCertificate('etcd', ['localhost']);
  for (const [name, content] of Object.entries({ cert, key, ca }))
    await writeFile(joinPath(dir, name), content);
  const port = await freePort();
  const peer = `http://127.0.0.1:${await freePort()}`;
  serving.etcd = port;
  const flags = {
    name: 'h-1',
    'data-dir': joinPath(dir, 'data'),
    'listen-client-urls': `https://127.0.0.1:${port}`,
    'advertise-client-urls': `https://127.0.0.1:${port}`,
    'listen-peer-urls': peer,
    'initial-advertise-peer-urls': peer,
    'initial-cluster': `h-1=${peer}`,
    'cert-file': joinPath(dir, 'cert'),
    'key-file': joinPath(dir, 'key'),
    'trusted-ca-file': joinPath(dir, 'ca'),
    'client-cert-auth': 'true',
    'unsafe-no-fsync': 'true',
  };
  const args = Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
  const child = spawn(store.filePath({ name: 'etcd', version: '3.7.3' }, 'etcd'), args, { stdio: 'ignore' });
  await once(child, 'spawn');
  return child;
}
