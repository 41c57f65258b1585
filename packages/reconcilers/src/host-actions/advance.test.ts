import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';
import type { AddressInfo } from 'node:net';
import { startKubernetes, type TestKubernetes } from '@rancher/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { checkEnvironment } from '../check.ts';
import { createCluster } from '../cluster.ts';
import type { Context } from '../context.ts';
import { reconcileEnvironment } from '../environment.ts';
import { Lab } from '../lab.ts';
import { sweep } from '../sweep.ts';
import { round } from './advance.ts';
import type { DrainDetails } from './drain-options.ts';

/** A real API server and a real Postgres; there is no kubelet, so the test ends pods that are to end. */
let kubernetes: TestKubernetes;
let lab: Lab;
let proxy: Server;
let context: Context;
let environmentId: string;
let count = 0;

beforeAll(async () => {
  [kubernetes, lab] = await Promise.all([startKubernetes(), Lab.open()]);
  proxy = await proxyTo(kubernetes);
  const apiUrl = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  context = { ...lab.context, cluster: createCluster({ apiUrl, key: () => 'rk_test' }) };
}, 120_000);

afterAll(async () => {
  context?.cluster.close();
  proxy?.closeAllConnections();
  proxy?.close();
  await lab?.close();
  await kubernetes?.stop();
});

/** Each test has an environment with its own two hosts, and their Nodes. */
beforeEach(async () => {
  environmentId = await lab.environment(0);
  for (const name of ['one', 'two']) {
    count += 1;
    const agent = await lab.host(environmentId, `${name}-${count}`, count);
    await agent.connect();
    await kubernetes.request('POST', '/api/v1/nodes', {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: agent.name },
    });
  }
  await lab.settle(environmentId);
  await lab.prisma.environment.update({ where: { id: environmentId }, data: { activeAt: new Date() } });
});

/** As our own API leads to the Kubernetes API of an environment. */
async function proxyTo({ server, admin }: TestKubernetes): Promise<Server> {
  const [ca, cert, key] = await Promise.all(
    [admin.caPath, admin.certPath, admin.keyPath].map((path) => readFile(path)),
  );
  const agent = new Agent({ ca: ca!, cert: cert!, key: key! });
  const listening = createServer((incoming, answer) => {
    const path = (incoming.url ?? '').replace(/^\/k8s\/environments\/[^/]+/, '');
    const { authorization: _, host: __, ...headers } = incoming.headers;
    const outgoing = httpsRequest(server + path, { agent, method: incoming.method, headers }, (response) => {
      answer.writeHead(response.statusCode ?? 500, response.headers);
      response.pipe(answer);
    });
    outgoing.on('error', () => answer.writeHead(503).end('The agent of the host is not connected.'));
    incoming.pipe(outgoing);
  });
  listening.listen(0, '127.0.0.1');
  await once(listening, 'listening');
  return listening;
}

async function hosts(): Promise<{ id: string; name: string }[]> {
  return lab.prisma.host.findMany({ where: { environmentId, removedAt: null }, orderBy: { name: 'asc' } });
}

async function ask(kind: Parameters<Lab['operation']>[1], options: object = {}, of = 0) {
  const host = (await hosts())[of];
  if (kind === 'host.drain' || kind === 'host.evacuate')
    await lab.prisma.host.update({ where: { id: host!.id }, data: { unschedulable: true } });
  const id = await lab.operation(environmentId, kind, { kind: 'Host', ...host! }, { options });
  return { id, host: host! };
}

async function operation(id: string) {
  const row = await lab.prisma.operation.findUniqueOrThrow({ where: { id } });
  const steps = row.steps as { name: string; state: string; message: string | null }[];
  return {
    ...row,
    steps,
    details: row.details as DrainDetails,
    error: row.error as { code: string; message: string },
  };
}

/** Rounds, and the reconciler after each, until the operation says what is awaited. */
async function advance(id: string, ready: (o: Awaited<ReturnType<typeof operation>>) => boolean) {
  for (let i = 0; i < 20; i += 1) {
    await round(context, id);
    await reconcileEnvironment(context, environmentId);
    const now = await operation(id);
    if (ready(now)) return now;
  }
  throw new Error(`It does not get there: ${JSON.stringify(await operation(id))}`);
}

const pods = '/api/v1/namespaces/default/pods';
const budgets = '/apis/policy/v1/namespaces/default/poddisruptionbudgets';

/** A pod that runs on a node, made by a ReplicaSet unless told otherwise. */
async function pod(name: string, nodeName: string, more: { metadata?: object; spec?: object } = {}) {
  await kubernetes.request('POST', pods, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      labels: { app: name },
      ownerReferences: [
        { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'rs', uid: 'f0d1', controller: true },
      ],
      ...more.metadata,
    },
    spec: {
      nodeName,
      terminationGracePeriodSeconds: 5,
      containers: [{ name: 'c', image: 'i' }],
      ...more.spec,
    },
  });
  await kubernetes.request('PATCH', `${pods}/${name}/status`, {
    status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] },
  });
}

/** What its kubelet would do. */
async function endLeaving(): Promise<string[]> {
  const { items } = await kubernetes.request<{
    items: { metadata: { name: string; deletionTimestamp?: string } }[];
  }>('GET', pods);
  const leaving = items.filter((p) => p.metadata.deletionTimestamp !== undefined).map((p) => p.metadata.name);
  for (const name of leaving)
    await kubernetes.request('DELETE', `${pods}/${name}`, { gracePeriodSeconds: 0 });
  return leaving.sort();
}

async function budget(name: string, disruptionsAllowed: number): Promise<void> {
  await kubernetes.request('POST', budgets, {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: { name },
    spec: { minAvailable: 1, selector: { matchLabels: { app: name } } },
  });
  await allow(name, disruptionsAllowed);
}

/** As the disruption controller counts. */
async function allow(name: string, disruptionsAllowed: number): Promise<void> {
  const status = {
    observedGeneration: 1,
    disruptionsAllowed,
    currentHealthy: 1 + disruptionsAllowed,
    desiredHealthy: 1,
    expectedPods: 1,
  };
  await kubernetes.request('PATCH', `${budgets}/${name}/status`, { status });
}

const node = (name: string) =>
  kubernetes.request<{ spec: { unschedulable?: boolean } }>('GET', `/api/v1/nodes/${name}`);

describe('cordon', () => {
  it('and uncordon, as steps and events; after that it is left to kubectl', async () => {
    const { id, host } = await ask('host.cordon');
    await lab.prisma.host.update({ where: { id: host.id }, data: { unschedulable: true } });
    await advance(id, (o) => o.state === 'succeeded');
    expect((await node(host.name)).spec.unschedulable).toBe(true);

    await kubernetes.request('PATCH', `/api/v1/nodes/${host.name}`, { spec: { unschedulable: null } });
    await checkEnvironment(context, environmentId, new AbortController().signal);
    expect((await node(host.name)).spec.unschedulable).toBe(true);

    const back = await ask('host.uncordon');
    await lab.prisma.host.update({ where: { id: host.id }, data: { unschedulable: false } });
    await advance(back.id, (o) => o.state === 'succeeded');
    expect((await node(host.name)).spec.unschedulable).toBeUndefined();
    await kubernetes.request('PATCH', `/api/v1/nodes/${host.name}`, { spec: { unschedulable: true } });
    await checkEnvironment(context, environmentId, new AbortController().signal);
    expect((await node(host.name)).spec.unschedulable).toBe(true);
    expect((await lab.events(environmentId)).filter((e) => e.includes('ordoned'))).toEqual([
      `HostCordoned: ${host.name} takes no new pods`,
      `HostUncordoned: ${host.name} takes new pods again`,
    ]);
  });
});

describe('drain', () => {
  it('shows which budget keeps which pod and since when, and goes on when it lets go', async () => {
    const { id, host } = await ask('host.drain');
    await pod('free', host.name);
    await pod('kept', host.name);
    await budget('kept', 0);
    const held = await advance(id, (o) => o.details.blocked?.length === 1);
    expect(held.details.blocked).toMatchObject([
      { namespace: 'default', pod: 'kept', budget: 'kept', message: expect.stringContaining('kept') },
    ]);
    expect(await endLeaving()).toEqual(['free']);
    // Another worker goes on: nothing of this was in the first one's memory.
    await round(context, id);
    await reconcileEnvironment(context, environmentId);
    const later = await operation(id);
    expect(later.details.blocked![0]!.since).toBe(held.details.blocked![0]!.since);
    expect(later.steps.find((s) => s.name === 'evict-pods')).toMatchObject({
      state: 'running',
      message: expect.stringMatching(
        /1 of 2 pods have left.*PodDisruptionBudget kept keeps default\/kept since 20/,
      ),
    });
    await allow('kept', 1);
    await round(context, id);
    expect(await endLeaving()).toEqual(['kept']);
    await advance(id, (o) => o.state === 'succeeded');
    const events = await lab.events(environmentId);
    expect(events.filter((e) => e.startsWith('PodEvictionBlocked'))).toHaveLength(1);
    expect(events).toContain(`HostDrained: 2 pods have left ${host.name}`);
    await kubernetes.request('DELETE', `${budgets}/kept`);
  });

  it('leaves the pods of DaemonSets, and of other hosts', async () => {
    const { id, host } = await ask('host.drain');
    const [, other] = await hosts();
    const ownerReferences = [
      { apiVersion: 'apps/v1', kind: 'DaemonSet', name: 'ds', uid: 'f0d2', controller: true },
    ];
    await pod('daemon', host.name, { metadata: { ownerReferences } });
    await pod('elsewhere', other!.name);
    await advance(id, (o) => o.state === 'succeeded');
    expect(await endLeaving()).toEqual([]);
    for (const name of ['daemon', 'elsewhere'])
      await kubernetes.request('DELETE', `${pods}/${name}`, { gracePeriodSeconds: 0 });
  });

  it('evicts nothing where something would be lost, and says what', async () => {
    const { id, host } = await ask('host.drain');
    await pod('alone', host.name, { metadata: { ownerReferences: [] } });
    await pod('managed', host.name);
    const failed = await advance(id, (o) => o.state === 'failed');
    expect(failed.error).toMatchObject({
      code: 'drain_refused',
      message: expect.stringContaining('nobody would make pod default/alone again (force allows it)'),
    });
    expect(await endLeaving()).toEqual([]);
    const forced = await ask('host.drain', { force: true });
    await round(context, forced.id);
    await round(context, forced.id);
    expect(await endLeaving()).toEqual(['alone', 'managed']);
    await advance(forced.id, (o) => o.state === 'succeeded');
  });

  it('fails at its deadline, and with force deletes what budgets still protect', async () => {
    const { id, host } = await ask('host.drain', { deadlineSeconds: 0 });
    await pod('late', host.name);
    await budget('late', 0);
    const failed = await advance(id, (o) => o.state === 'failed');
    expect(failed.error).toMatchObject({
      code: 'deadline_exceeded',
      message: expect.stringContaining('PodDisruptionBudget late keeps default/late'),
    });
    const forced = await ask('host.drain', { deadlineSeconds: 0, force: true });
    await round(context, forced.id);
    await round(context, forced.id);
    expect(await endLeaving()).toEqual(['late']);
    await advance(forced.id, (o) => o.state === 'succeeded');
    await kubernetes.request('DELETE', `${budgets}/late`);
  });

  it('waits for an API server that is away', async () => {
    const { id } = await ask('host.drain');
    await kubernetes.killApiServer();
    try {
      const waiting = await advance(id, (o) => o.details.lastError !== undefined);
      expect(waiting).toMatchObject({
        state: 'running',
        steps: [{ state: 'running' }, { state: 'pending' }],
      });
      expect(waiting.steps[0]!.message).toContain('503');
    } finally {
      await kubernetes.startApiServer();
    }
    await advance(id, (o) => o.state === 'succeeded');
  }, 120_000);

  it('that was canceled is not gone on with', async () => {
    const { id, host } = await ask('host.drain');
    await pod('spared', host.name);
    await lab.prisma.operation.update({ where: { id }, data: { state: 'canceled' } });
    expect(await round(context, id)).toBe(true);
    expect(await endLeaving()).toEqual([]);
    await kubernetes.request('DELETE', `${pods}/spared`, { gracePeriodSeconds: 0 });
  });

  it('ends where its host is to take pods again', async () => {
    const { id, host } = await ask('host.drain');
    await pod('stays', host.name);
    await budget('stays', 0);
    await advance(id, (o) => o.details.blocked?.length === 1);
    await lab.prisma.host.update({ where: { id: host.id }, data: { unschedulable: false } });
    const ended = await advance(id, (o) => o.state === 'canceled');
    expect(ended.error).toMatchObject({ code: 'superseded', message: `${host.name} is to take pods again` });
    await kubernetes.request('DELETE', `${budgets}/stays`);
    await kubernetes.request('DELETE', `${pods}/stays`, { gracePeriodSeconds: 0 });
  });

  it('is found by the sweep when its job was lost', async () => {
    const { id } = await ask('host.drain');
    lab.jobs.length = 0;
    await sweep(context, new Date());
    expect(lab.jobs).toContainEqual({ name: 'advance-host-operation', data: { operationId: id } });
    await advance(id, (o) => o.state === 'succeeded');
  });
});

describe('evacuation', () => {
  it('drains, stops the whole system stack, and takes the Node out of the cluster', async () => {
    // The other has the control plane.
    const { id, host } = await ask('host.evacuate', {}, 1);
    await pod('moves', host.name);
    await advance(id, (o) => o.details.pods?.left === 1);
    expect(await endLeaving()).toEqual(['moves']);
    await advance(id, (o) => o.details.drainedAt !== undefined);
    const row = () => lab.prisma.host.findUniqueOrThrow({ where: { id: host.id } });
    expect(await row()).toMatchObject({ evacuated: true, desiredState: 'active' });
    const has = (service: string) =>
      lab.prisma.instance.count({ where: { hostId: host.id, service, removedAt: null } });
    await round(context, id);
    expect([await has('kubelet'), (await node(host.name)).spec.unschedulable]).toEqual([1, true]);
    await lab.settle(environmentId);
    expect([await has('kubelet'), await has('containerd')]).toEqual([0, 0]);
    const done = await advance(id, (o) => o.state === 'succeeded');
    expect(done.steps.map((s) => s.name)).toEqual([
      'cordon',
      'evict-pods',
      'move-instances',
      'stop-instances',
      'remove-node',
    ]);
    await expect(node(host.name)).rejects.toThrow('404');
    expect((await row()).conditions).toContainEqual(
      expect.objectContaining({ type: 'Ready', status: 'False', reason: 'Evacuated' }),
    );
  });
});

describe('removal', () => {
  it('drains, then stops what runs, wipes, and takes the Node out of the cluster', async () => {
    const { id, host } = await ask('host.remove');
    await pod('moves', host.name);
    await round(context, id);
    await round(context, id);
    await reconcileEnvironment(context, environmentId);
    const row = () => lab.prisma.host.findUniqueOrThrow({ where: { id: host.id } });
    expect((await row()).desiredState).toBe('active');
    expect(await endLeaving()).toEqual(['moves']);
    await round(context, id);
    expect((await row()).desiredState).toBe('removed');
    expect((await operation(id)).steps.map((s) => s.name)).toEqual([
      'cordon',
      'evict-pods',
      'leave-etcd',
      'stop-instances',
      'wipe-host',
      'remove-node',
      'remove',
    ]);
  });

  it('does not wait for the pods of a host that cannot be seen', async () => {
    const { id, host } = await ask('host.remove');
    await lab.prisma.host.update({ where: { id: host.id }, data: { state: 'disconnected' } });
    await pod('lost', host.name);
    await round(context, id);
    await round(context, id);
    expect((await operation(id)).details).toMatchObject({ skipped: `${host.name} cannot be seen` });
    expect((await lab.prisma.host.findUniqueOrThrow({ where: { id: host.id } })).desiredState).toBe(
      'removed',
    );
    await kubernetes.request('DELETE', `${pods}/lost`, { gracePeriodSeconds: 0 });
  });
});
