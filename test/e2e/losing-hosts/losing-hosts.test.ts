/**
 * Losing hosts, seen by doing it: an environment of three hosts is cut from its server, drained against a budget, and one
 * host is switched off and on, while a Service is asked all the time from another host.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createFaults, type Faults } from '../support/faults.ts';
import { loadBusybox } from '../support/images.ts';
import { createInstallation, type EventRow, type Installation, until } from '../support/installation.ts';
import { podsReady, webManifest } from '../support/workload.ts';

const environment = 'lost';
let rancher: Installation;
let faults: Faults;
let id: string;

interface Host {
  id: string;
  name: string;
  status: { state: string; conditions: { type: string; status: string; message: string }[] };
}

const hosts = async () => (await rancher.api('GET', `/v1/environments/${id}/hosts`)).body.items as Host[];
const host = async (name: string) => (await hosts()).find((h) => h.name === name)!;
const reasons = async (of: string) =>
  (await rancher.events(environment)).filter((e: EventRow) => e.message.includes(of)).map((e) => e.reason);
const inState = (name: string, state: string) =>
  until(`${name} is ${state}`, async () => (await host(name)).status.state === state);
const drainOf = async () =>
  (await rancher.api('GET', `/v1/environments/${id}/operations?type=host.drain`)).body.items[0].status;

beforeAll(async () => {
  rancher = await createInstallation('losing');
  faults = createFaults(rancher);
  await rancher.must(['up']);
  const hasty = { hosts: { reconnectingAfterSeconds: 12, disconnectedAfterSeconds: 18 } };
  const made = await rancher.api('POST', '/v1/environments', {
    name: environment,
    spec: { hosts: { local: 3 }, options: hasty },
  });
  id = made.body.target.id;
  await until('the environment is active', async () => {
    const { body } = await rancher.api('GET', `/v1/environments/${id}`);
    return body.status.state === 'active' && body.status.health === 'healthy';
  });
  await loadBusybox(rancher, environment);
  await rancher.kubectl(['apply', '-f', '-'], { environment, input: webManifest('web', 2) });
  await rancher.kubectl(['create', 'configmap', 'witness', '--from-literal=still=here'], { environment });
  await podsReady(rancher, 'app=web', 2, environment);
});

afterAll(async () => {
  await faults?.healAll();
  await rancher?.purge();
});

async function nothingLost(): Promise<void> {
  await until('all is healthy', async () => {
    const { body } = await rancher.api('GET', `/v1/environments/${id}`);
    return body.status.health === 'healthy' && (await hosts()).every((h) => h.status.state === 'active');
  });
  const args = ['get', 'configmap', 'witness', '-o', 'jsonpath={.data.still}'];
  expect(await rancher.kubectl(args, { environment })).toBe('here');
  await podsReady(rancher, 'app=web', 2, environment);
}

test('cut from the server alone: its peers see it, nothing is moved, and it is said', async () => {
  const before = (await rancher.instances(environment)).map((i) => i.id).sort();
  const fault = await faults.cutFromServer('lost-3');
  await inState('lost-3', 'disconnected');
  const reachable = await until('its peers were asked', async () =>
    (await host('lost-3')).status.conditions.find((c) => c.type === 'Reachable'),
  );
  expect(reachable).toMatchObject({ status: 'True' });
  await fault.heal();
  await inState('lost-3', 'active');
  expect((await rancher.instances(environment)).map((i) => i.id).sort()).toEqual(before);
  expect(await reasons('lost-3')).toEqual(expect.arrayContaining(['HostReachedByPeers', 'HostConnected']));
  await nothingLost();
});

test('a budget blocks a drain, which shows it and since when, and goes on when it allows', async () => {
  const [pod] = await podsReady(rancher, 'app=web', 2, environment);
  const where = ['get', 'pod', pod!.name, '-o', 'jsonpath={.spec.nodeName}'];
  const node = await rancher.kubectl(where, { environment });
  const budget = (minAvailable: number) =>
    JSON.stringify({
      apiVersion: 'policy/v1',
      kind: 'PodDisruptionBudget',
      metadata: { name: 'web' },
      spec: { minAvailable, selector: { matchLabels: { app: 'web' } } },
    });
  await rancher.kubectl(['apply', '-f', '-'], { environment, input: budget(2) });
  await rancher.must(['host', 'drain', node, '-e', environment]);
  const blocked = await until('it is blocked', async () => (await drainOf()).details?.blocked?.[0]);
  expect(blocked).toMatchObject({ namespace: 'default', budget: 'web', since: expect.stringMatching(/^20/) });
  expect((await drainOf()).steps.find((s: { name: string }) => s.name === 'evict-pods').message).toContain(
    'PodDisruptionBudget web',
  );
  await rancher.kubectl(['apply', '-f', '-'], { environment, input: budget(1) });
  await until('it is drained', async () => (await drainOf()).state === 'succeeded');
  await rancher.must(['host', 'uncordon', node, '-e', environment, '--wait']);
  await nothingLost();
});

test('switched off and on: nobody reaches it, and it comes back with what it had', async () => {
  await rancher.must(['host', 'power-off', 'lost-2', '-e', environment, '--wait']);
  await inState('lost-2', 'disconnected');
  const reachable = await until('its peers were asked', async () =>
    (await host('lost-2')).status.conditions.find((c) => c.type === 'Reachable' && c.status === 'False'),
  );
  expect(reachable.message).toContain('cannot reach lost-2 either');
  await rancher.must(['host', 'power-on', 'lost-2', '-e', environment, '--wait']);
  await nothingLost();
});
