import type { Condition } from '@rancher/domain';
import { freePort } from '@rancher/testing';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { checkEnvironment } from './check.ts';
import { createCluster, objectPath } from './cluster.ts';
import { Lab } from './lab.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
}, 60_000);
afterAll(() => lab?.close());
afterEach(() => {
  lab.kube.ready = true;
  lab.kube.alarms = [];
  lab.kube.nodes.clear();
  lab.kube.nodeLabels.clear();
});

const never = new AbortController().signal;
const check = (id: string) => checkEnvironment(lab.context, id, never);

async function conditions(id: string): Promise<Record<string, Condition>> {
  const all = (await lab.row(id)).conditions as unknown as Condition[];
  return Object.fromEntries(all.map((c) => [c.type, c]));
}

/** An active environment of one host with a cluster behind it. */
async function active(): Promise<string> {
  const id = await lab.environment(1);
  for (const agent of await lab.agentsOf(id)) await agent.connect();
  await lab.settle(id);
  lab.kube.nodes.set('host-1', true);
  await check(id);
  await lab.settle(id);
  expect(await lab.row(id)).toMatchObject({ state: 'active' });
  return id;
}

it('says which check of /readyz fails, and tells when it comes and goes', async () => {
  const id = await active();
  lab.kube.ready = false;
  await check(id);
  expect((await conditions(id)).ApiServerReady).toMatchObject({
    status: 'False',
    lastError: '500: [-]etcd failed: reason withheld',
    deadline: expect.any(String),
  });
  lab.kube.ready = true;
  await check(id);
  expect((await conditions(id)).ApiServerReady).toMatchObject({ status: 'True' });
  expect((await lab.events(id)).filter((e) => e.startsWith('ApiServer'))).toEqual([
    'ApiServerReady: The Kubernetes API is ready',
    'ApiServerUnreachable: The Kubernetes API does not answer: /readyz: 500: [-]etcd failed: reason withheld',
    'ApiServerReady: The Kubernetes API is ready',
  ]);
});

it('says nothing of a cluster while our own API is away', async () => {
  const id = await active();
  const before = await lab.row(id);
  const cluster = createCluster({ apiUrl: `http://127.0.0.1:${await freePort()}`, key: () => '' });
  await checkEnvironment({ ...lab.context, cluster }, id, never);
  cluster.close();
  expect(await lab.row(id)).toEqual(before);
});

it('follows Nodes, in the environment and on the host, and tells only when they turn', async () => {
  const id = await active();
  lab.kube.nodes.set('host-1', false);
  await check(id);
  await check(id);
  expect((await conditions(id)).NodesReady).toMatchObject({
    status: 'False',
    message: 'Node host-1 is not Ready: cni plugin not initialized',
  });
  const [agent] = await lab.agentsOf(id);
  const host = await lab.prisma.host.findUniqueOrThrow({ where: { id: agent!.id } });
  expect(host.conditions).toContainEqual(expect.objectContaining({ type: 'Ready', status: 'False' }));
  lab.kube.nodes.set('host-1', true);
  await check(id);
  expect((await lab.events(id)).filter((e) => e.startsWith('Node'))).toEqual([
    'NodeReady: Node host-1 is Ready',
    'NodeNotReady: Node host-1 is not Ready: cni plugin not initialized',
    'NodeReady: Node host-1 is Ready',
  ]);
});

it('follows the alarms of etcd', async () => {
  const id = await active();
  lab.kube.alarms = [{ member: 'host-1', alarm: 'NOSPACE' }];
  await check(id);
  await check(id);
  expect((await conditions(id)).EtcdHealthy).toMatchObject({ status: 'False', reason: 'Alarm' });
  lab.kube.alarms = [];
  await check(id);
  expect((await conditions(id)).EtcdHealthy).toMatchObject({ status: 'True' });
  const told = (await lab.events(id)).filter((e) => e.startsWith('EtcdAlarm'));
  expect(told).toEqual(['EtcdAlarm: etcd raised an alarm: NOSPACE on host-1']);
});

it('applies the objects once, and again when they differ', async () => {
  const id = await active();
  const objects = () => lab.kube.applied.filter((path) => !path.startsWith('/api/v1/nodes/'));
  const before = objects().length;
  await check(id);
  expect(objects()).toHaveLength(before);
  await lab.prisma.environment.update({ where: { id }, data: { appliedObjectsHash: 'older' } });
  await check(id);
  expect(objects().length).toBeGreaterThan(before);
});

it('deletes the Node of a host that was removed, and no other', async () => {
  const id = await active();
  const gone = await lab.host(id, 'host-9', 9);
  await lab.prisma.host.update({ where: { id: gone.id }, data: { state: 'removed', removedAt: new Date() } });
  lab.kube.nodes.set('host-9', false).set('made-by-a-user', true);
  await check(id);
  expect([...lab.kube.nodes.keys()]).toEqual(['host-1', 'made-by-a-user']);
});

it('writes nothing when nothing changes', async () => {
  const id = await active();
  await check(id);
  const before = await lab.row(id);
  await check(id);
  expect(await lab.row(id)).toEqual(before);
});

it.each([
  ['v1', 'Namespace', undefined, '/api/v1/namespaces/x'],
  ['v1', 'Endpoints', 'n', '/api/v1/namespaces/n/endpoints/x'],
  ['discovery.k8s.io/v1', 'EndpointSlice', 'n', '/apis/discovery.k8s.io/v1/namespaces/n/endpointslices/x'],
  ['networking.k8s.io/v1', 'Ingress', 'n', '/apis/networking.k8s.io/v1/namespaces/n/ingresses/x'],
  ['networking.k8s.io/v1', 'NetworkPolicy', 'n', '/apis/networking.k8s.io/v1/namespaces/n/networkpolicies/x'],
  [
    'rbac.authorization.k8s.io/v1',
    'ClusterRole',
    undefined,
    '/apis/rbac.authorization.k8s.io/v1/clusterroles/x',
  ],
])('knows the path of %s %s', (apiVersion, kind, namespace, path) => {
  const metadata = { name: 'x', ...(namespace === undefined ? {} : { namespace }) };
  expect(objectPath({ apiVersion, kind, metadata })).toBe(path);
});
