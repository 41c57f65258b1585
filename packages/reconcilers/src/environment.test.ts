import { components } from '@rancher/components';
import type { Condition } from '@rancher/domain';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkEnvironment } from './check.ts';
import { reconcileEnvironment } from './environment.ts';
import { round } from './host-actions/advance.ts';
import { recordSilence } from './hosts.ts';
import { Lab } from './lab.ts';
import { runtimeLabel } from './simulated.ts';
import { sweep } from './sweep.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
}, 60_000);
afterAll(() => lab?.close());

const never = new AbortController().signal;
const simulated = { [runtimeLabel]: 'simulated' };

async function condition(id: string, type: Condition['type']): Promise<Condition | undefined> {
  return ((await lab.row(id)).conditions as unknown as Condition[]).find((c) => c.type === type);
}

/** An active environment of hosts without a cluster behind them. */
async function active(hosts: number): Promise<string> {
  const id = await lab.environment(hosts, simulated);
  for (const agent of await lab.agentsOf(id)) await agent.connect();
  await lab.settle(id);
  expect(await lab.row(id)).toMatchObject({ state: 'active', health: 'healthy' });
  return id;
}

describe('creation', () => {
  it('goes from waiting for hosts to active, and tells why it waits at each step', async () => {
    const id = await lab.environment(1);
    await lab.settle(id);
    expect(await lab.row(id)).toMatchObject({ state: 'activating', targetPlanId: null });
    expect(await condition(id, 'HostsReady')).toMatchObject({
      status: 'False',
      reason: 'HostsRegistering',
      message: 'host-1 has not registered yet',
      deadline: expect.any(String),
    });
    const secrets = await lab.prisma.environmentSecret.findMany({ where: { environmentId: id } });
    expect(secrets.map((s) => s.name)).toContain('ca/kubernetes');

    const [agent] = await lab.agentsOf(id);
    await agent!.connect();
    await lab.settle(id);
    expect(await condition(id, 'SystemStackHealthy')).toMatchObject({ status: 'True' });
    expect(await lab.row(id)).toMatchObject({ state: 'activating', health: 'healthy' });
    expect(lab.jobs.map((j) => j.name)).toContain('check-environment');

    lab.kube.nodes.set('host-1', true);
    await checkEnvironment(lab.context, id, never);
    await lab.settle(id);
    const row = await lab.row(id);
    expect(row).toMatchObject({
      state: 'active',
      health: 'healthy',
      observedGeneration: 1,
      activeAt: expect.any(Date),
    });
    expect(lab.kube.applied).toContain(
      '/api/v1/namespaces/kube-system/services/kube-dns?fieldManager=rancher&force=true',
    );
    const operation = await lab.prisma.operation.findFirstOrThrow({ where: { environmentId: id } });
    expect(operation).toMatchObject({ state: 'succeeded', finishedAt: expect.any(Date) });
    expect((await lab.events(id)).join('\n')).toMatch(
      new RegExp(
        [
          'HostRegistered: host-1 registered',
          `PlanMade: Plan 1: ${components.length} instances to start`,
          'InstanceHealthy: etcd on host-1 is healthy',
          'ObjectsApplied',
          'EnvironmentActive',
        ].join('[^]*'),
      ),
    );
  });

  it('writes nothing when nothing changes', async () => {
    const id = await active(2);
    const before = await lab.row(id);
    const events = await lab.events(id);
    await reconcileEnvironment(lab.context, id);
    for (const agent of await lab.agentsOf(id)) expect(await agent.report()).toBe(false);
    expect(await lab.row(id)).toEqual(before);
    expect(await lab.events(id)).toEqual(events);
  });

  it('is done once, however many workers do it', async () => {
    const id = await lab.environment(3, simulated);
    for (const agent of await lab.agentsOf(id)) await agent.connect();
    await Promise.all(Array.from({ length: 6 }, () => reconcileEnvironment(lab.context, id)));
    expect(await lab.prisma.plan.count({ where: { environmentId: id } })).toBe(1);
    const instances = await lab.prisma.instance.findMany({ where: { environmentId: id } });
    const everywhere = components.filter((c) => c.placement === 'all').length;
    expect(instances).toHaveLength(3 * everywhere + components.length - everywhere);
    expect(await lab.prisma.environmentSecret.count({ where: { environmentId: id } })).toBe(5);
  });
});

describe('an instance that exits', () => {
  it('is replaced, and the events tell what happened', async () => {
    const id = await active(1);
    const [agent] = await lab.agentsOf(id);
    const startedAt = new Date(Date.now() - 7_380_000).toISOString();
    const exitedAt = new Date().toISOString();
    const exit = { code: null, signal: 'SIGKILL' };
    agent!.change('kube-scheduler', { startedAt });
    agent!.change('kube-scheduler', {
      state: 'exited',
      health: 'unhealthy',
      exit,
      exitedAt,
      logTail: ['last words'],
    });
    expect(await agent!.report()).toBe(true);
    await reconcileEnvironment(lab.context, id);
    expect(await lab.row(id)).toMatchObject({ state: 'active', health: 'initializing' });
    expect(await condition(id, 'SystemStackHealthy')).toMatchObject({ logTail: ['last words'] });
    await lab.settle(id);
    expect(await lab.row(id)).toMatchObject({ state: 'active', health: 'healthy' });
    const told = (await lab.events(id)).slice(-2);
    expect(told[0]).toBe('InstanceExited: kube-scheduler on host-1 exited (signal SIGKILL) after 2 h 3 min');
    expect(told[1]).toMatch(
      /^InstanceReplaced: kube-scheduler on host-1 exited \(signal SIGKILL\) after 2 h 3 min; replaced in [\d.]+ s$/,
    );
    const rows = await lab.prisma.instance.findMany({
      where: { environmentId: id, service: 'kube-scheduler' },
      orderBy: { createdAt: 'asc' },
    });
    expect(rows.map((r) => r.state)).toEqual(['removed', 'running']);
    expect(rows[1]).toMatchObject({ replaces: rows[0]!.id });
  });

  it('again is held back, with a condition that says until when', async () => {
    const id = await active(1);
    const [agent] = await lab.agentsOf(id);
    for (let i = 0; i < 2; i += 1) {
      agent!.change('kube-proxy', { state: 'exited', health: 'unhealthy', exit: { code: 1, signal: null } });
      await agent!.report();
      await reconcileEnvironment(lab.context, id);
      if (i === 0) await lab.settle(id);
    }
    expect(await condition(id, 'PlanBlocked')).toMatchObject({
      status: 'True',
      reason: 'BackingOff',
      nextTryAt: expect.any(String),
      lastError: expect.stringContaining('kube-proxy on host-1 exited (code 1)'),
    });
    expect((await lab.events(id)).at(-1)).toMatch(
      /^BackingOff: .*failure 2 in a row, so it is started again after 1 s$/,
    );
  });
});

describe('another version', () => {
  it('is rolled out one instance at a time, and observed when all of it is done', async () => {
    const id = await active(1);
    const [agent] = await lab.agentsOf(id);
    const before = [...agent!.running.keys()];
    await lab.prisma.environment.update({
      where: { id },
      data: { kubernetesVersion: '1.36.3', generation: 2, resourceVersion: { increment: 1 } },
    });
    await reconcileEnvironment(lab.context, id);
    expect(await lab.row(id)).toMatchObject({ state: 'updating', observedGeneration: 1 });
    expect(await condition(id, 'PlanBlocked')).toMatchObject({ reason: 'RollingUpdate' });
    const target = (await lab.row(id)).targetPlanId!;
    expect((await lab.prisma.plan.findUniqueOrThrow({ where: { id: target } })).actions).toHaveLength(1);
    await lab.settle(id);
    expect(await lab.row(id)).toMatchObject({ state: 'active', health: 'healthy', observedGeneration: 2 });
    const kubelet = await lab.prisma.service.findFirstOrThrow({
      where: { environmentId: id, name: 'kubelet' },
    });
    expect(kubelet.version).toBe('1.36.3');
    const kept = [...agent!.running.values()].filter((i) => before.includes(i.id)).map((i) => i.service);
    const others = components.filter((c) => c.version('1.36.3') === c.version('1.37.2')).map((c) => c.name);
    expect(kept.sort()).toEqual(others.sort());
  });
});

describe('a host', () => {
  it('that falls silent is waited for, then lost, and its instances are unknown; on its return nothing is restarted', async () => {
    const id = await active(2);
    const [, second] = await lab.agentsOf(id);
    const ids = [...second!.running.keys()].sort();
    second!.connected = false;
    const soon = (seconds: number) => new Date(Date.now() + seconds * 1000);
    const all = await lab.agentsOf(id);
    const hear = () =>
      lab.prisma.host.updateMany({ where: { id: all[0]!.id }, data: { lastSeenAt: soon(60) } });
    await hear();
    const since = new Date(0);
    expect(await recordSilence(lab.prisma, since, soon(16))).toContain(id);
    expect(await lab.prisma.host.findUnique({ where: { id: second!.id } })).toMatchObject({
      state: 'reconnecting',
    });
    expect(await recordSilence(lab.prisma, soon(10), soon(41))).not.toContain(id);
    expect(await recordSilence(lab.prisma, since, soon(41))).toContain(id);
    await lab.settle(id);
    const unknown = await lab.prisma.instance.findMany({ where: { hostId: second!.id, removedAt: null } });
    expect(unknown.every((i) => i.state === 'unknown' && i.health === 'unknown')).toBe(true);
    expect(await lab.row(id)).toMatchObject({ state: 'active', health: 'degraded' });
    expect(await condition(id, 'HostsReady')).toMatchObject({ reason: 'HostsLost' });
    await second!.connect();
    await lab.settle(id);
    expect([...second!.running.keys()].sort()).toEqual(ids);
    expect(await lab.row(id)).toMatchObject({ state: 'active', health: 'healthy' });
    expect((await lab.events(id)).join('\n')).toMatch(
      /HostReconnecting[\s\S]*HostDisconnected[\s\S]*HostConnected: host-2 is connected again/,
    );
  });

  it('that is removed is stopped, wiped and gone; the others stay', async () => {
    const id = await active(2);
    const [, second] = await lab.agentsOf(id);
    await lab.prisma.host.update({
      where: { id: second!.id },
      data: { desiredState: 'removed', state: 'removing' },
    });
    const at = new Date().toISOString();
    const details = { cordonedAt: at, drainedAt: at, skipped: 'removed by force' };
    const target = { kind: 'Host', id: second!.id, name: second!.name };
    const removal = await lab.operation(id, 'host.remove', target, { details });
    await lab.settle(id);
    expect(second!.running.size).toBe(0);
    await lab.prisma.host.update({ where: { id: second!.id }, data: { connectedTo: null } });
    await lab.settle(id);
    expect(await lab.prisma.host.findUnique({ where: { id: second!.id } })).toMatchObject({
      state: 'removed',
      removedAt: expect.any(Date),
    });
    const state = async () =>
      (await lab.prisma.operation.findUniqueOrThrow({ where: { id: removal } })).state;
    expect(await state()).toBe('running');
    expect(await round(lab.context, removal)).toBe(true);
    await lab.settle(id);
    expect(await state()).toBe('succeeded');
    expect(lab.kube.nodes.has(second!.name)).toBe(false);
    expect(await lab.row(id)).toMatchObject({ state: 'active', health: 'healthy' });
  });
});

describe('desired states', () => {
  it('inactive: nothing is replaced until it is active again', async () => {
    const id = await active(1);
    const [agent] = await lab.agentsOf(id);
    await lab.prisma.environment.update({
      where: { id },
      data: {
        desiredState: 'inactive',
        generation: 2,
        state: 'deactivating',
        resourceVersion: { increment: 1 },
      },
    });
    await lab.settle(id);
    expect(await lab.row(id)).toMatchObject({ state: 'inactive', observedGeneration: 2 });
    const plan = (await lab.row(id)).targetPlanId;
    agent!.change('dns', { state: 'exited', health: 'unhealthy', exit: { code: 2, signal: null } });
    await agent!.report();
    await reconcileEnvironment(lab.context, id);
    expect((await lab.row(id)).targetPlanId).toBe(plan);
    await lab.prisma.environment.update({
      where: { id },
      data: { desiredState: 'active', generation: 3, state: 'activating', resourceVersion: { increment: 1 } },
    });
    await lab.settle(id);
    expect(await lab.row(id)).toMatchObject({ state: 'active', health: 'healthy', observedGeneration: 3 });
  });

  it('removed: everything is stopped and wiped, and the operation ends with the environment', async () => {
    const id = await active(2);
    const agents = await lab.agentsOf(id);
    await lab.prisma.environment.update({
      where: { id },
      data: { desiredState: 'removed', generation: 2, state: 'removing', resourceVersion: { increment: 1 } },
    });
    await lab.operation(id, 'environment.remove', { kind: 'Environment', id, name: id });
    await lab.settle(id);
    expect(agents.map((a) => a.running.size)).toEqual([0, 0]);
    const hosts = await lab.prisma.host.findMany({ where: { environmentId: id } });
    expect(hosts.map((h) => h.state)).toEqual(['removing', 'removing']);
    await lab.prisma.host.updateMany({ where: { environmentId: id }, data: { connectedTo: null } });
    await lab.settle(id);
    expect(await lab.row(id)).toMatchObject({ state: 'removed', removedAt: expect.any(Date) });
    expect(await lab.prisma.environmentSecret.count({ where: { environmentId: id } })).toBe(0);
    const operation = await lab.prisma.operation.findFirstOrThrow({
      where: { environmentId: id, kind: 'environment.remove' },
    });
    expect(operation.state).toBe('succeeded');
    expect((await lab.events(id)).at(-2)).toMatch(/^EnvironmentRemoved/);
  });
});

describe('an operation', () => {
  it('is canceled by what a user wants since then', async () => {
    const id = await lab.environment(1);
    await lab.operation(id, 'environment.create', { kind: 'Environment', id, name: id });
    await lab.prisma.environment.update({
      where: { id },
      data: { desiredState: 'removed', generation: 2, state: 'removing' },
    });
    await lab.settle(id);
    const operation = await lab.prisma.operation.findFirstOrThrow({ where: { environmentId: id } });
    expect(operation).toMatchObject({
      state: 'canceled',
      error: { code: 'superseded', message: 'The environment is to be removed' },
      finishedAt: expect.any(Date),
    });
    expect((await lab.events(id)).join('\n')).toMatch(
      /OperationFinished: environment.create .* was canceled/,
    );
  });
});

describe('the sweep', () => {
  it('finds what no job was made for', async () => {
    const id = await active(1);
    await lab.prisma.environment.update({ where: { id }, data: { generation: 2 } });
    lab.jobs.length = 0;
    await sweep(lab.context, new Date());
    expect(lab.jobs).toContainEqual({ name: 'reconcile-environment', data: { environmentId: id } });
    await lab.settle(id);
    lab.jobs.length = 0;
    await sweep(lab.context, new Date());
    expect(lab.jobs).not.toContainEqual({ name: 'reconcile-environment', data: { environmentId: id } });
  });
});
