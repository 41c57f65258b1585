import { findCondition, type HostFacts, newId } from '@rancher/domain';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { reconcileEnvironment } from './environment.ts';
import { conditionsOf } from './host-row.ts';
import { recordDisconnect, recordFacts, recordLocalHosts } from './hosts.ts';
import { Lab } from './lab.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
}, 60_000);
afterAll(() => lab?.close());

async function localHost(): Promise<{ environmentId: string; machineId: string; hostId: string }> {
  const environmentId = await lab.environment(1);
  const machineId = newId('host');
  await lab.prisma.host.create({
    data: { id: machineId, name: `machine-${machineId}`, kind: 'machine', state: 'active' },
  });
  const [agent] = await lab.agentsOf(environmentId);
  await lab.prisma.host.update({ where: { id: agent!.id }, data: { kind: 'local', machineId } });
  return { environmentId, machineId, hostId: agent!.id };
}

it('a local host that cannot be made says why, in its condition and in the operation', async () => {
  const { environmentId, machineId, hostId } = await localHost();
  const failed = [{ hostId, state: 'failed' as const, message: 'no space left on device' }];
  expect(await recordLocalHosts(lab.prisma, machineId, failed)).toEqual({ environmentIds: [environmentId] });
  expect(await recordLocalHosts(lab.prisma, machineId, failed)).toEqual({ environmentIds: [] });
  const host = await lab.prisma.host.findUniqueOrThrow({ where: { id: hostId } });
  expect(host.conditions).toContainEqual(
    expect.objectContaining({ type: 'Ready', reason: 'LocalHostFailed', message: 'no space left on device' }),
  );
  const running = [{ hostId, state: 'running' as const }];
  expect(await recordLocalHosts(lab.prisma, machineId, running)).toEqual({ environmentIds: [environmentId] });
});

it('a local host is gone when its machine does not list it any more, and not before it is to go', async () => {
  const { environmentId, machineId, hostId } = await localHost();
  await recordLocalHosts(lab.prisma, machineId, []);
  const state = async () => (await lab.prisma.host.findUniqueOrThrow({ where: { id: hostId } })).state;
  expect(await state()).toBe('registering');
  await lab.prisma.environment.update({
    where: { id: environmentId },
    data: { desiredState: 'removed', generation: 2 },
  });
  await reconcileEnvironment(lab.context, environmentId);
  expect(await state()).toBe('removing');
  await recordLocalHosts(lab.prisma, machineId, [{ hostId, state: 'removing' }]);
  expect(await state()).toBe('removing');
  expect(await recordLocalHosts(lab.prisma, machineId, [])).toEqual({ environmentIds: [environmentId] });
  expect(await state()).toBe('removed');
  await reconcileEnvironment(lab.context, environmentId);
  expect(await lab.row(environmentId)).toMatchObject({ state: 'removed' });
});

it('an older connection that closes does not disconnect the newer one', async () => {
  const environmentId = await lab.environment(1);
  const [agent] = await lab.agentsOf(environmentId);
  await agent!.connect();
  await agent!.connect();
  const connectedTo = async () =>
    (await lab.prisma.host.findUniqueOrThrow({ where: { id: agent!.id } })).connectedTo;
  await recordDisconnect(lab.prisma, { hostId: agent!.id, connectionId: '1' });
  expect(await connectedTo()).toBe('api');
  await recordDisconnect(lab.prisma, { hostId: agent!.id, connectionId: '2' });
  expect(await connectedTo()).toBeNull();
});

it('a local host is switched off and on: its machine says so, its agent that it is back', async () => {
  const { environmentId, machineId, hostId } = await localHost();
  const [agent] = await lab.agentsOf(environmentId);
  await agent!.connect();
  await lab.settle(environmentId);
  const target = { kind: 'Host', id: hostId, name: agent!.name };
  const states = async (kind: string) =>
    (await lab.prisma.operation.findFirstOrThrow({ where: { environmentId, kind } })).state;
  await lab.operation(environmentId, 'host.powerOff', target);
  await reconcileEnvironment(lab.context, environmentId);
  expect(await states('host.powerOff')).toBe('running');
  const off = [{ hostId, state: 'off' as const }];
  expect(await recordLocalHosts(lab.prisma, machineId, off)).toEqual({ environmentIds: [environmentId] });
  expect(await recordLocalHosts(lab.prisma, machineId, off)).toEqual({ environmentIds: [] });
  await reconcileEnvironment(lab.context, environmentId);
  expect(await states('host.powerOff')).toBe('succeeded');

  await lab.operation(environmentId, 'host.powerOn', target);
  await recordLocalHosts(lab.prisma, machineId, [{ hostId, state: 'running' }]);
  await reconcileEnvironment(lab.context, environmentId);
  expect(await states('host.powerOn')).toBe('running');
  await agent!.connect();
  await reconcileEnvironment(lab.context, environmentId);
  expect(await states('host.powerOn')).toBe('succeeded');
  // Asked for again, it is on already: there will be no other connection.
  const id = await lab.operation(environmentId, 'host.powerOn', target);
  await reconcileEnvironment(lab.context, environmentId);
  expect((await lab.prisma.operation.findUniqueOrThrow({ where: { id } })).state).toBe('succeeded');
  expect((await lab.events(environmentId)).filter((e) => e.startsWith('HostPowered'))).toEqual([
    'HostPoweredOff: host-1 was switched off, as by pulling the plug',
    'HostPoweredOn: host-1 was switched on',
  ]);
});

it('a host tells that a disk is nearly full, and that it has room again, each once; nothing is planned for it', async () => {
  const environmentId = await lab.environment(1);
  const [agent] = await lab.agentsOf(environmentId);
  await agent!.connect();
  const row = () => lab.prisma.host.findUniqueOrThrow({ where: { id: agent!.id } });
  const pressure = async () => findCondition(conditionsOf(await row()), 'DiskPressure');
  expect(await pressure()).toBeUndefined();
  const facts = (await row()).facts as unknown as HostFacts;
  const fullDisk = { path: '/var/lib/etcd', bytes: 300 * 1024 ** 2, freeBytes: 4096 };
  expect(await recordFacts(lab.prisma, agent!.id, { ...facts, fullDisk })).toMatchObject({
    reconcile: false,
  });
  await recordFacts(lab.prisma, agent!.id, { ...facts, fullDisk: { ...fullDisk, freeBytes: 0 } });
  expect(await pressure()).toMatchObject({
    status: 'True',
    reason: 'NearlyFull',
    message: expect.stringContaining('/var/lib/etcd has 0 MiB of 300 MiB left'),
  });
  await recordFacts(lab.prisma, agent!.id, facts);
  expect(await pressure()).toMatchObject({ status: 'False', reason: 'HasRoom' });
  const events = await lab.prisma.event.findMany({
    where: { hostId: agent!.id, reason: { startsWith: 'Disk' } },
    orderBy: { id: 'asc' },
  });
  expect(events.map((e) => [e.type, e.reason])).toEqual([
    ['Warning', 'DiskFull'],
    ['Normal', 'DiskFreed'],
  ]);
});
