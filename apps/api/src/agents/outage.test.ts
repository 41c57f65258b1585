import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { newId } from '@rancher/domain';
import { createAuthority, generateKeyPair, issueCertificate, sealSecret } from '@rancher/pki';
import { until } from '@rancher/testing';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createAuthenticator } from '../auth/authenticator.ts';
import { databaseIsGone } from '../http/database-gone.ts';
import { createRegistrationToken } from '../intent/registration-tokens.ts';
import { dial, join, type TestAgent } from '../testing/agent.ts';
import { type Harness, startHarness } from '../testing/harness.ts';

/** What must hold while Postgres is away: nobody is hung up on, nothing is lost but what is out of date. */
let api: Harness;
let environmentId: string;
let agent: TestAgent;
let kube: Server;
let instanceId: string;

beforeAll(async () => {
  api = await startHarness();
  const { prisma } = api.database;
  environmentId = (await api.call('POST', '/v1/environments', { body: { name: 'outage' } })).body.target.id;
  const authority = await createAuthority({ commonName: 'kubernetes' });
  const ciphertext = Uint8Array.from(sealSecret(api.context.masterKey, JSON.stringify(authority)));
  await prisma.environmentSecret.create({ data: { environmentId, name: 'ca/kubernetes', ciphertext } });
  const keys = generateKeyPair();
  const { certificatePem } = await issueCertificate(authority, {
    publicKeyPem: keys.publicKeyPem,
    commonName: 'kubernetes',
    dnsNames: ['kubernetes'],
    usages: ['server'],
  });
  kube = createServer({ cert: certificatePem, key: keys.privateKeyPem }, (_req, res) => res.end('{}'));
  kube.listen(0, '127.0.0.1');
  await once(kube, 'listening');
  agent = await connect('h-1', { 'kube-apiserver': (kube.address() as AddressInfo).port });
  agent.hello();
  await agent.hear('slice');
  const service = await prisma.service.findFirstOrThrow({ where: { environmentId, name: 'kube-apiserver' } });
  instanceId = newId('instance');
  await prisma.instance.create({
    data: {
      id: instanceId,
      environmentId,
      serviceId: service.id,
      service: 'kube-apiserver',
      hostId: agent.hostId,
      specHash: '',
      planGeneration: 1,
      state: 'running',
      health: 'healthy',
      reason: '',
    },
  });
});
afterAll(async () => {
  agent?.close();
  kube?.closeAllConnections();
  kube?.close();
  await api?.stop();
});

async function connect(name: string, serve: Record<string, number> = {}): Promise<TestAgent> {
  const { token } = await api.database.prisma.$transaction((tx) =>
    createRegistrationToken(tx, { environmentId, description: '', maxUses: 1, expiresInSeconds: 60 }),
  );
  return dial(api, (await join(api, token, name)).body, serve);
}

const running = (pid: number) => ({
  generation: 1,
  instances: [
    {
      id: instanceId,
      service: 'kube-apiserver',
      specHash: '',
      state: 'running' as const,
      health: 'healthy' as const,
      pid,
      restarts: 0,
      certificates: [],
    },
  ],
});
it('while Postgres is away sockets stay, kubectl works, and the newest report is written when it is back', async () => {
  const late = await connect('h-2');
  const overHttp = async () => {
    const answer = await fetch(`http://127.0.0.1:${api.port}/k8s/environments/${environmentId}/api`, {
      headers: { authorization: `Bearer ${api.keys.readOnly}` },
    });
    await answer.text();
    return answer.status;
  };
  expect(await overHttp()).toBe(200);

  let clock = Date.now();
  const auth = createAuthenticator(api.database.prisma, () => clock);
  const header = `Bearer ${api.keys.readOnly}`;
  await auth.key(header);

  await api.postgres.kill();
  clock += 60_000;
  expect((await auth.key(header)).role).toBe('read-only');
  await expect(auth.key(`Bearer ${api.keys.admin}`)).rejects.toSatisfy(databaseIsGone);
  clock += 3_600_000;
  await expect(auth.key(header)).rejects.toSatisfy(databaseIsGone);
  const ready = await api.call('GET', '/readyz', { key: null });
  expect(ready.body).toMatchObject({ status: 'unavailable' });
  expect((await api.call('GET', '/livez', { key: null })).status).toBe(200);
  expect((await api.call('POST', '/v1/environments', { body: { name: 'x' } })).body.code).toBe('unavailable');
  expect(await overHttp()).toBe(200);
  for (let pid = 1; pid <= 50; pid++)
    agent.say({ type: 'inventory', inventory: running(pid), localHosts: [] });
  late.hello();
  agent.say({ type: 'ping', at: 1 });
  await agent.hear('pong');

  await api.postgres.resume();
  await until('the newest report', async () => {
    const { body } = await api.call('GET', `/v1/instances/${instanceId}`);
    return body?.status?.pid === 50;
  });
  expect((await late.hear('welcome')).hostId).toBe(late.hostId);
  expect(agent.socket.readyState).toBe(agent.socket.OPEN);
  late.close();
});
