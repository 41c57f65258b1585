import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { channels, type Slice } from '@rancher/contracts';
import { notify } from '@rancher/db';
import { contentHash, type InstanceSpec, newId } from '@rancher/domain';
import { createAuthority, generateKeyPair, sealSecret } from '@rancher/pki';
import { until } from '@rancher/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { createRegistrationToken } from '../intent/registration-tokens.ts';
import { dial, facts, join, type TestAgent } from '../testing/agent.ts';
import { type Harness, startHarness } from '../testing/harness.ts';

let api: Harness;
beforeAll(async () => {
  api = await startHarness();
});
afterAll(() => api?.stop());

const agents: TestAgent[] = [];
afterEach(() => {
  for (const agent of agents.splice(0)) agent.close();
});

let n = 0;
async function environment(): Promise<string> {
  const answer = await api.call('POST', '/v1/environments', { body: { name: `e-${++n}` } });
  return answer.body.target.id as string;
}

async function joined(environmentId: string | null, more: object = {}) {
  const { token } = await api.database.prisma.$transaction((tx) =>
    createRegistrationToken(tx, { environmentId, description: '', maxUses: 1, expiresInSeconds: 60 }),
  );
  const answer = await join(api, token, `host-${++n}`, more);
  expect(answer.status, answer.text).toBe(201);
  return answer.body as { hostId: string; credential: string };
}

async function connected(environmentId: string | null, more: object = {}): Promise<TestAgent> {
  const agent = await dial(api, await joined(environmentId, more));
  agents.push(agent);
  agent.hello(undefined, more);
  await agent.hear('slice');
  return agent;
}

const lastSlice = (agent: TestAgent): Slice => agent.received.filter((m) => m.type === 'slice').at(-1)!.slice;

const spec: InstanceSpec = {
  component: 'etcd',
  version: '3.7.3',
  artifacts: [],
  command: ['/bin/true'],
  env: {},
  directories: [],
  files: [],
  secrets: [{ path: '/k/ca.key', mode: 0o600, secret: 'ca/etcd.key' }],
  certificates: [
    {
      certPath: '/k/server.crt',
      keyPath: '/k/server.key',
      caPath: '/k/ca.crt',
      authority: 'etcd',
      commonName: 'etcd-1',
      organizations: ['o'],
      dnsNames: ['localhost'],
      ipAddresses: ['10.0.0.1'],
      usages: ['server'],
    },
  ],
  addresses: [],
  probe: { periodMs: 1000, timeoutMs: 1000, failureThreshold: 3, initialTimeoutMs: 1000 },
  stop: { signal: 'SIGTERM', graceMs: 1000 },
  oomScoreAdj: 0,
  cgroups: [],
};

/** Writes a plan with one instance on a host and makes it the target, as the reconciler does. */
async function plan(environmentId: string, hostId: string, generation = 1): Promise<string> {
  const { prisma } = api.database;
  const specHash = contentHash(spec);
  await prisma.instanceSpec.createMany({
    data: [{ hash: specHash, spec: spec as object }],
    skipDuplicates: true,
  });
  const service = await prisma.service.findFirstOrThrow({ where: { environmentId, name: 'etcd' } });
  const id = newId('instance');
  const planId = newId('plan');
  const instance = { id, serviceId: service.id, service: 'etcd', hostId, specHash, after: [], notBefore: 0 };
  await prisma.plan.create({
    data: {
      id: planId,
      environmentId,
      generation,
      instances: [instance],
      actions: [{ kind: 'create', service: 'etcd', hostId, instanceId: id, reason: 'It is missing' }],
      failures: {},
    },
  });
  await prisma.environment.update({ where: { id: environmentId }, data: { targetPlanId: planId } });
  await notify(prisma, channels.plan, environmentId);
  return id;
}

describe('POST /v1/agent/join', () => {
  it('201: a host and its credential, for a token once', async () => {
    const environmentId = await environment();
    const created = await api.call('POST', '/v1/registrationTokens', { body: { environmentId } });
    const answer = await join(api, created.body.token, 'Machine.example.org');
    expect(answer.status, answer.text).toBe(201);
    const host = await api.call('GET', `/v1/hosts/${answer.body.hostId}`);
    expect(host.body).toMatchObject({ name: 'machine', environmentId, spec: { kind: 'machine' } });
    const again = await join(api, created.body.token, 'other');
    expect(again.body).toMatchObject({ status: 401, code: 'token_spent' });
  });

  it('201: of many at once a token of one use takes one', async () => {
    const created = await api.call('POST', '/v1/registrationTokens', { body: {} });
    const answers = await Promise.all(
      ['a', 'b', 'c', 'd'].map((name) => join(api, created.body.token, name)),
    );
    expect(answers.map((a) => a.status).sort()).toEqual([201, 401, 401, 401]);
  });

  it('400: an unknown field', async () => {
    const answer = await api.call('POST', '/v1/agent/join', {
      key: null,
      body: { token: 'x'.repeat(20), name: 'a', labels: {}, facts, role: 'admin' },
    });
    expect(answer.body).toMatchObject({ status: 400, code: 'unknown_field', pointer: '/role' });
  });

  it('401: a token that is unknown, expired or revoked', async () => {
    expect((await join(api, 'rt_unknown')).body).toMatchObject({ status: 401, code: 'unauthenticated' });
    const made = await api.database.prisma.$transaction((tx) =>
      createRegistrationToken(tx, { environmentId: null, description: '', maxUses: 1, expiresInSeconds: -1 }),
    );
    expect((await join(api, made.token)).body).toMatchObject({ status: 401, code: 'token_expired' });
    const created = await api.call('POST', '/v1/registrationTokens', { body: {} });
    expect((await api.call('DELETE', `/v1/registrationTokens/${created.body.id}`)).status).toBe(204);
    expect((await join(api, created.body.token)).body).toMatchObject({ status: 401, code: 'token_revoked' });
  });

  it('409: a name that is taken in the environment', async () => {
    const environmentId = await environment();
    const created = await api.call('POST', '/v1/registrationTokens', { body: { environmentId, maxUses: 2 } });
    await join(api, created.body.token, 'same');
    expect((await join(api, created.body.token, 'same')).body).toMatchObject({
      status: 409,
      code: 'name_taken',
    });
  });
});

describe('the control socket', () => {
  it('is refused without a right credential', async () => {
    const socket = new WebSocket(`wss://127.0.0.1:${api.port}/v1/agent/connect`, {
      ca: api.context.tls.caPem,
      headers: { authorization: 'Bearer rh_wrong' },
    });
    const [error] = (await once(socket, 'error')) as [Error];
    expect(error.message).toContain('401');
  });

  it('hello is recorded before anything comes down; then welcome, then the slice', async () => {
    const agent = await connected(await environment());
    expect(agent.received.map((m) => m.type).slice(0, 2)).toEqual(['welcome', 'slice']);
    expect(lastSlice(agent)).toMatchObject({
      hostId: agent.hostId,
      generation: 0,
      instances: [],
      removed: false,
    });
    const host = await api.call('GET', `/v1/hosts/${agent.hostId}`);
    expect(host.body.status).toMatchObject({ state: 'active', connected: true, address: facts.address });
  });

  it('a new plan is pushed, with each spec once per connection', async () => {
    const environmentId = await environment();
    const agent = await connected(environmentId);
    const first = await plan(environmentId, agent.hostId, 1);
    await until('the first plan', () => lastSlice(agent).generation === 1);
    expect(lastSlice(agent).instances).toMatchObject([
      { id: first, service: 'etcd', reason: 'It is missing' },
    ]);
    expect(lastSlice(agent).specs).toEqual({ [contentHash(spec)]: spec });
    await plan(environmentId, agent.hostId, 2);
    await until('the second plan', () => lastSlice(agent).generation === 2);
    expect(lastSlice(agent).specs).toEqual({});
  });

  it('a plan that changes nothing on a host is not pushed there', async () => {
    const environmentId = await environment();
    const [one, other] = [await connected(environmentId), await connected(environmentId)];
    await plan(environmentId, one.hostId, 1);
    await until('the first plan', () => lastSlice(one).generation === 1);
    await plan(environmentId, other.hostId, 2);
    await until('the second plan', () => lastSlice(other).generation === 2);
    const slices = other.received.filter((m) => m.type === 'slice');
    expect(slices.map((m) => m.slice.generation)).toEqual([0, 2]);
  });

  it('a spec that was out of use for a plan is sent again: its agent has forgotten it', async () => {
    const environmentId = await environment();
    const agent = await connected(environmentId);
    await plan(environmentId, agent.hostId, 1);
    await until('the first plan', () => lastSlice(agent).generation === 1);
    await plan(environmentId, 'host_elsewhere', 2);
    await until('a plan without it', () => lastSlice(agent).generation === 2);
    await plan(environmentId, agent.hostId, 3);
    await until('the plan that has it again', () => lastSlice(agent).generation === 3);
    expect(lastSlice(agent).specs).toEqual({ [contentHash(spec)]: spec });
  });

  it('inventory is recorded and the environment reconciled', async () => {
    const environmentId = await environment();
    const agent = await connected(environmentId);
    const id = await plan(environmentId, agent.hostId);
    const { prisma } = api.database;
    const service = await prisma.service.findFirstOrThrow({ where: { environmentId, name: 'etcd' } });
    await prisma.instance.create({
      data: {
        id,
        environmentId,
        serviceId: service.id,
        service: 'etcd',
        hostId: agent.hostId,
        specHash: contentHash(spec),
        planGeneration: 1,
        reason: 'It is missing',
      },
    });
    const instance = {
      id,
      service: 'etcd',
      specHash: contentHash(spec),
      restarts: 0,
      certificates: [],
      pid: 42,
    };
    agent.say({
      type: 'inventory',
      inventory: { generation: 1, instances: [{ ...instance, state: 'running', health: 'healthy' }] },
      localHosts: [],
    });
    const seen = await until('the instance', async () => {
      const { body } = await api.call('GET', `/v1/instances/${id}`);
      return body.status.health === 'healthy' && body;
    });
    expect(seen.status).toMatchObject({ state: 'running', pid: 42 });
    const log = await api.call('GET', `/v1/instances/${id}/log?lines=2`);
    expect(log.body).toMatchObject({ source: 'host', lines: ['etcd 0', 'etcd 1'] });
    agent.close();
    await once(agent.socket, 'close');
    const stored = await api.call('GET', `/v1/instances/${id}/log`);
    expect(stored.body).toMatchObject({ source: 'stored', lines: [] });
  });

  it('answers pings, and hangs up on what is not of the protocol', async () => {
    const agent = await connected(null);
    agent.say({ type: 'ping', at: 7 });
    expect(await agent.hear('pong')).toEqual({ type: 'pong', at: 7 });
    agent.socket.send('nonsense');
    const [code] = await once(agent.socket, 'close');
    expect(code).toBe(1003);
  });

  it.each([
    ['a hello without facts', { type: 'hello', protocol: 1 }, 1008],
    [
      'another version of the protocol',
      { type: 'hello', protocol: 99, facts, inventory: {}, localHosts: [] },
      4001,
    ],
    ['no object', [], 1003],
  ])('hangs up on %s, and lives on', async (_name, message, expected) => {
    const agent = await dial(api, await joined(null));
    agents.push(agent);
    agent.socket.send(JSON.stringify(message));
    const [code] = await once(agent.socket, 'close');
    expect(code).toBe(expected);
  });

  it('takes no harm from an inventory that cannot be recorded', async () => {
    const agent = await connected(null);
    for (const inventory of [
      null,
      5,
      { generation: 'x', instances: 3 },
      { generation: 1, instances: [{}] },
    ]) {
      agent.socket.send(JSON.stringify({ type: 'inventory', inventory, localHosts: 7 }));
    }
    agent.say({ type: 'inventory', inventory: { generation: 3, instances: [] }, localHosts: [] });
    await until('the sound one', async () => {
      const { body } = await api.call('GET', `/v1/hosts/${agent.hostId}`);
      return body.status.appliedGeneration === 3;
    });
  });

  it('a later connection of the same host wins', async () => {
    const first = await connected(null);
    const second = await dial(api, first);
    agents.push(second);
    const [code] = await once(first.socket, 'close');
    expect(code).toBe(4000);
    second.hello();
    await second.hear('slice');
    const host = await api.call('GET', `/v1/hosts/${second.hostId}`);
    expect(host.body.status.connected).toBe(true);
  });

  it('a closed socket is recorded', async () => {
    const agent = await connected(null);
    agent.close();
    await until(
      'disconnected',
      async () => !(await api.call('GET', `/v1/hosts/${agent.hostId}`)).body.status.connected,
    );
  });

  it('a host that was removed while away is told so when it comes back', async () => {
    const agent = await connected(null);
    agent.close();
    await once(agent.socket, 'close');
    expect((await api.call('DELETE', `/v1/hosts/${agent.hostId}`)).status).toBe(204);
    const back = await dial(api, agent);
    agents.push(back);
    await back.hear('slice');
    expect(lastSlice(back).removed).toBe(true);
  });
});

describe('requests of agents', () => {
  async function withSecrets() {
    const environmentId = await environment();
    const authority = await createAuthority({ commonName: 'etcd' });
    const ciphertext = Uint8Array.from(sealSecret(api.context.masterKey, JSON.stringify(authority)));
    await api.database.prisma.environmentSecret.createMany({
      data: [{ environmentId, name: 'ca/etcd', ciphertext }],
    });
    const agent = await connected(environmentId);
    return { agent, authority, environmentId, instanceId: await plan(environmentId, agent.hostId) };
  }

  it('a certificate is signed as the spec says, whatever the agent says', async () => {
    const { agent, authority, instanceId } = await withSecrets();
    const { publicKeyPem } = generateKeyPair();
    const request = {
      method: 'signCertificate',
      instanceId,
      certPath: '/k/server.crt',
      publicKeyPem,
      commonName: 'root',
    };
    const reply = await agent.ask(request);
    expect(reply).toMatchObject({ ok: true });
    const { certificatePem, caPem } = (reply as { result: { certificatePem: string; caPem: string } }).result;
    const certificate = new X509Certificate(certificatePem);
    expect(certificate.subject).toContain('CN=etcd-1');
    expect(certificate.subjectAltName).toContain('IP Address:10.0.0.1');
    expect(certificate.verify(new X509Certificate(authority.certificatePem).publicKey)).toBe(true);
    expect(caPem).toBe(authority.certificatePem);
  });

  it('a secret file is given to the host whose spec names it, and to no other', async () => {
    const { agent, authority, environmentId, instanceId } = await withSecrets();
    const reply = await agent.ask({ method: 'secret', instanceId, path: '/k/ca.key' });
    expect(reply).toMatchObject({ ok: true, result: { content: authority.privateKeyPem } });
    const other = await connected(environmentId);
    for (const [who, request] of [
      [other, { method: 'secret', instanceId, path: '/k/ca.key' }],
      [agent, { method: 'secret', instanceId, path: '/etc/shadow' }],
      [agent, { method: 'secret', instanceId: 'ins_none', path: '/k/ca.key' }],
      [agent, { method: 'everything' }],
    ] as const) {
      expect(await who.ask(request)).toMatchObject({ ok: false });
    }
  });

  it('a token for a local host goes to its own machine alone', async () => {
    const machine = await connected(null, { localHosts: true });
    const other = await connected(null, { localHosts: true });
    const environmentId = await environment();
    const host = await api.database.prisma.host.create({
      data: { id: newId('host'), environmentId, name: 'l-1', kind: 'local', machineId: machine.hostId },
    });
    await notify(api.database.prisma, channels.machine, machine.hostId);
    await until('the local host in the slice', () => lastSlice(machine).localHosts.length === 1);
    expect(lastSlice(machine).localHosts).toEqual([
      { hostId: host.id, name: 'l-1', environmentId, network: 'default', power: 'on' },
    ]);
    expect(await other.ask({ method: 'localHostToken', hostId: host.id })).toMatchObject({ ok: false });
    const reply = await machine.ask({ method: 'localHostToken', hostId: host.id });
    const { token } = (reply as { result: { token: string } }).result;
    expect((await join(api, token)).body.hostId).toBe(host.id);
  });
});

describe('POST /v1/environments with local hosts', () => {
  it('202: the machine with the fewest is told to make them', async () => {
    const machine = await connected(null, { localHosts: true });
    const answer = await api.call('POST', '/v1/environments', {
      body: { name: 'with-hosts', spec: { hosts: { local: 2 } } },
    });
    expect(answer.status, answer.text).toBe(202);
    await until('the local hosts', () => lastSlice(machine).localHosts.length > 0);
    const hosts = await api.call('GET', `/v1/environments/${answer.body.target.id}/hosts`);
    expect(hosts.body.items.map((h: { name: string }) => h.name)).toEqual(['with-hosts-1', 'with-hosts-2']);
  });
});
