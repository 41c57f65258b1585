/**
 * Three of each: a control plane on three hosts that loses an API server, the leader of etcd, and the worker in the
 * middle of a step, that shrinks to one and grows again; a client on a host goes on asking, and every object stays.
 */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type AskingClient, askFrom } from '../support/asking-client.ts';
import { etcdLeader } from '../support/etcd.ts';
import { createInstallation, type Installation, type InstanceRow, until } from '../support/installation.ts';

const environment = 'ha';
let rancher: Installation;
const clients: AskingClient[] = [];

beforeAll(async () => {
  rancher = await createInstallation('high-availability');
  await rancher.must(['up']);
  await rancher.must(['environment', 'rm', 'default', '--wait']);
  await rancher.must(['environment', 'create', environment, '--hosts', '3', '--wait']);
  await rancher.kubectl(['create', 'configmap', 'witness', '--from-literal=still=here'], { environment });
});
afterEach(() => {
  for (const client of clients.splice(0)) client.kill();
});
afterAll(async () => {
  await rancher?.purge();
});

async function clientOn(host: string): Promise<AskingClient> {
  const client = await askFrom(rancher, environment, host);
  clients.push(client);
  return client;
}

const of = async (component: string): Promise<InstanceRow[]> =>
  (await rancher.instances(environment)).filter((i) => i.component === component);

async function on(host: string, component: string): Promise<InstanceRow> {
  return until(`${component} runs on ${host}`, async () =>
    (await of(component)).find((i) => i.host === host && i.pid !== null && i.health === 'healthy'),
  );
}

/** Every component runs where it should, and is healthy. */
const settled = (apiServers: number) =>
  until(
    `${apiServers} control planes are healthy`,
    async () => {
      const rows = await rancher.instances(environment);
      const members = rows.filter((i) => i.component === 'etcd').length;
      const servers = rows.filter((i) => i.component === 'kube-apiserver').length;
      return members === apiServers && servers === apiServers && rows.every((i) => i.health === 'healthy');
    },
    240_000,
  );

async function nothingLost(): Promise<void> {
  const witness = await until('the API answers', async () => {
    const get = ['kubectl', '-e', environment, 'get', 'configmap', 'witness', '-o', 'jsonpath={.data.still}'];
    const result = await rancher.rancher(get);
    return result.code === 0 ? result.stdout : undefined;
  });
  expect(witness).toBe('here');
}

test('three hosts have three members of etcd and three API servers', async () => {
  await settled(3);
  const shown = JSON.parse(await rancher.must(['environment', 'show', environment, '--json']));
  expect(shown.spec.controlPlane).toEqual({ replicas: 3 });
});

test('kill -9 of the API server that a client talks to loses what was in flight, and nothing else', async () => {
  const client = await clientOn('ha-3');
  const old = await on('ha-3', 'kube-apiserver');
  process.kill(old.pid!, 'SIGKILL');
  await until('another API server is healthy there', async () =>
    (await of('kube-apiserver')).some((i) => i.host === 'ha-3' && i.id !== old.id && i.health === 'healthy'),
  );
  const heard = await client.end();
  process.stdout.write(`kill -9 kube-apiserver: ${JSON.stringify(heard)}\n`);
  expect(heard.asked).toBeGreaterThan(50);
  // Each asker loses what was in flight; and once more at most, where its next connection met the dying process before
  // the balancer's checks took it out.
  expect(heard.failures.length).toBeLessThanOrEqual(2 * client.askers);
  await settled(3);
  await nothingLost();
});

test('kill -9 of the leader of etcd: another leads, and every object is there', async () => {
  const old = await etcdLeader(rancher, environment);
  process.kill(old.pid!, 'SIGKILL');
  await settled(3);
  await etcdLeader(rancher, environment);
  await nothingLost();
});

test('shrinks to one member, and a client on a host that loses its API server goes on', async () => {
  const client = await clientOn('ha-3');
  await rancher.must(['environment', 'update', environment, '--control-plane-replicas', '1', '--wait']);
  await settled(1);
  const heard = await client.end();
  process.stdout.write(`shrink 3 → 1: ${JSON.stringify(heard)}\n`);
  expect(heard.asked).toBeGreaterThan(50);
  expect(heard.failures).toEqual([]);
  await nothingLost();
});

test('grows again, with the worker killed in the middle of a step', async () => {
  await rancher.must(['environment', 'update', environment, '--control-plane-replicas', '3']);
  await until('a member is on its way', async () =>
    (await rancher.events(environment)).some((e) => e.reason === 'EtcdMemberAdded'),
  );
  const { processes } = JSON.parse(await rancher.must(['status', '--json'])) as {
    processes: { name: string; pid: number }[];
  };
  process.kill(processes.find((p) => p.name === 'worker')!.pid, 'SIGKILL');
  await settled(3);
  const events = (await rancher.events(environment)).map((e) => e.reason);
  expect(events.filter((r) => r === 'EtcdMemberRemoved')).toHaveLength(2);
  expect(events.filter((r) => r === 'EtcdMemberPromoted')).toHaveLength(2);
  await nothingLost();
});
