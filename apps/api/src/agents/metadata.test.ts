import { afterAll, beforeAll, expect, it } from 'vitest';
import { createRegistrationToken } from '../intent/registration-tokens.ts';
import { dial, join, type TestAgent } from '../testing/agent.ts';
import { type Harness, startHarness } from '../testing/harness.ts';
import { loadMetadata } from './metadata.ts';

let api: Harness;
let environmentId: string;
const agents: TestAgent[] = [];
beforeAll(async () => {
  api = await startHarness();
  environmentId = (await api.call('POST', '/v1/environments', { body: { name: 'a' } })).body.target.id;
});
afterAll(async () => {
  for (const agent of agents) agent.close();
  await api?.stop();
});

async function connect(name: string): Promise<TestAgent> {
  const { token } = await api.database.prisma.$transaction((tx) =>
    createRegistrationToken(tx, { environmentId, description: '', maxUses: 1, expiresInSeconds: 60 }),
  );
  const agent = await dial(api, (await join(api, token, name)).body);
  agents.push(agent);
  agent.hello();
  return agent;
}

const told = (agent: TestAgent) => agent.received.filter((m) => m.type === 'metadata').map((m) => m.metadata);

it('hosts are told of their environment, and of each other as they come', async () => {
  const first = await connect('one');
  const { metadata } = await first.hear('metadata');
  expect(metadata.environment).toMatchObject({ id: environmentId, name: 'a', podCidr: '10.42.0.0/16' });
  expect(metadata.stacks).toMatchObject([{ name: 'kubernetes', kind: 'system' }]);
  expect(metadata.services.map((s) => s.name)).toContain('etcd');
  expect(metadata.hosts.map((h) => h.name)).toContain('one');
  const second = await connect('two');
  await second.hear('metadata');
  await expect
    .poll(
      () =>
        told(first)
          .at(-1)
          ?.hosts.map((h) => h.name),
      { timeout: 20_000 },
    )
    .toEqual(['one', 'two']);
  expect(told(first).at(-1)).toEqual(told(second).at(-1));
});

it('a label that is changed gets to the hosts; the same version is not sent twice', async () => {
  const [agent] = agents;
  const { items } = (await api.call('GET', `/v1/environments/${environmentId}/services?name=etcd`)).body;
  await api.call('PATCH', `/v1/services/${items[0].id}`, {
    body: { labels: { app: 'store' } },
    headers: { 'if-match': '*' },
  });
  api.context.hub.notified('rancher_plan', environmentId);
  const labels = () =>
    told(agent!)
      .at(-1)
      ?.services.find((s) => s.name === 'etcd')?.labels;
  await expect.poll(labels, { timeout: 20_000 }).toEqual({ app: 'store' });
  const versions = told(agent!).map((m) => m.version);
  expect(new Set(versions).size).toBe(versions.length);
});

it('holds the named fields and no others: nothing secret can be among them', async () => {
  const metadata = (await loadMetadata(api.database.prisma, [environmentId])).get(environmentId)!;
  const keys = (items: object[]) => [...new Set(items.flatMap(Object.keys))].sort();
  expect(keys([metadata])).toEqual(['environment', 'hosts', 'instances', 'services', 'stacks', 'version']);
  expect(keys([metadata.environment])).toEqual(['id', 'kubernetesVersion', 'name', 'podCidr', 'serviceCidr']);
  expect(keys(metadata.hosts)).toEqual(['address', 'cores', 'id', 'labels', 'memoryBytes', 'name', 'state']);
  expect(keys(metadata.services)).toEqual(['health', 'id', 'labels', 'name', 'scale', 'stackId', 'version']);
  expect(keys(metadata.stacks)).toEqual(['id', 'kind', 'name']);
});
