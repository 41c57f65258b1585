import { newId } from '@rancher/domain';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createRegistrationToken } from '../intent/registration-tokens.ts';
import { dial, join, type TestAgent } from '../testing/agent.ts';
import { type Harness, startHarness } from '../testing/harness.ts';

let api: Harness;
let environmentId: string;
let agent: TestAgent;
beforeAll(async () => {
  api = await startHarness();
  environmentId = (await api.call('POST', '/v1/environments', { body: { name: 'a' } })).body.target.id;
  agent = await member(environmentId);
});
afterAll(async () => {
  agent?.close();
  await api?.stop();
});

async function member(of: string): Promise<TestAgent> {
  const { token } = await api.database.prisma.$transaction((tx) =>
    createRegistrationToken(tx, { environmentId: of, description: '', maxUses: 1, expiresInSeconds: 60 }),
  );
  const dialled = await dial(api, (await join(api, token, newId('host').replaceAll('_', '-'))).body);
  dialled.hello();
  await dialled.hear('welcome');
  return dialled;
}

async function silentHost(of = environmentId): Promise<string> {
  const id = newId('host');
  await api.database.prisma.host.create({
    data: {
      ...{ id, environmentId: of, name: id.replaceAll('_', '-'), kind: 'machine' },
      address: '10.0.0.9',
    },
  });
  return id;
}

const probe = (peerId: string, key: string | null = api.keys.system) =>
  api.call('POST', `/internal/v1/hosts/${agent.hostId}/peers/${peerId}/probe`, { key });

it('200: the agent is asked for the address that the server knows, at kubelet’s port', async () => {
  const peer = await silentHost();
  const answer = probe(peer);
  const asked = await agent.hear('request');
  expect(asked).toMatchObject({ method: 'probeHost', address: '10.0.0.9', port: 10250 });
  agent.say({ type: 'reply', id: asked.id, ok: true, result: { answer: 'refused' } });
  expect(await answer).toMatchObject({ status: 200, body: { answer: 'refused' } });
});

it('401, 404: for the worker alone, and hidden from others', async () => {
  const peer = await silentHost();
  expect((await probe(peer, null)).status).toBe(401);
  expect((await probe(peer, api.keys.admin)).status).toBe(404);
});

it('404: a host of another environment, and none', async () => {
  const other = (await api.call('POST', '/v1/environments', { body: { name: 'b' } })).body.target.id;
  expect((await probe(await silentHost(other))).status).toBe(404);
  expect((await probe('host_none')).status).toBe(404);
});

it('503: the agent that is asked says no', async () => {
  const from = agent.received.length;
  const answer = probe(await silentHost());
  const asked = await agent.hear('request', from);
  agent.say({ type: 'reply', id: asked.id, ok: false, error: 'not a peer' });
  expect((await answer).body).toMatchObject({ status: 503, code: 'host_unreachable' });
});
