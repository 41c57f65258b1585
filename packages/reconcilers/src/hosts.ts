import { type EnvironmentOptions, withDefaults } from '@rancher/components';
import type { ObservedLocalHost } from '@rancher/contracts';
import { agentTimings, channels } from '@rancher/contracts';
import { type Host, notify, type PrismaClient, recordEvents } from '@rancher/db';
import {
  type Condition,
  type ConditionInput,
  canonicalJson,
  type EventInput,
  findCondition,
  type HostFacts,
  type HostState,
  type Inventory,
  setCondition,
} from '@rancher/domain';
import { inWords } from '@rancher/planner';
import { diskEvents, withDisk } from './host-disk.ts';
import { factColumns, movedEvents, uniqueIdentity } from './host-identity.ts';
import { changeHost, conditionsOf } from './host-row.ts';
import { type Recorded, recordInventory } from './inventory.ts';
import { hostRemoved } from './removal.ts';
import { json, lastingFacts } from './world.ts';

const connected: ConditionInput = {
  type: 'Connected',
  status: 'True',
  reason: 'AgentConnected',
  message: 'The agent is connected',
};

/** An agent has connected: its facts and inventory are what is. A later connection of the same host wins. */
export async function recordHello(
  prisma: PrismaClient,
  hello: { hostId: string; replicaId: string; connectionId: string; facts: HostFacts; inventory: Inventory },
): Promise<Recorded> {
  const { hostId, replicaId, connectionId, facts, inventory } = hello;
  const before = await prisma.host.findUnique({ where: { id: hostId } });
  if (before === null) return { environmentId: null, changed: false, reconcile: false };
  const now = new Date();
  const state = before.desiredState === 'active' ? 'active' : before.state;
  await changeHost(prisma, hostId, (host) => ({
    ...factColumns(host, facts),
    state,
    connectedTo: replicaId,
    connectionId,
    connectedAt: now,
    lastSeenAt: now,
    conditions: json(
      [connected, ...uniqueIdentity(facts)].reduce(
        (conditions, next) => setCondition(conditions, next, now),
        withDisk(withoutPeers(conditionsOf(host)), facts, now),
      ),
    ),
  }));
  const recorded = await recordInventory(prisma, hostId, inventory);
  await recordEvents(prisma, [
    ...helloEvents(before, facts, now),
    ...movedEvents(before, facts),
    ...diskEvents(before, facts),
  ]);
  await notify(prisma, channels.change, JSON.stringify({ resource: 'hosts', id: hostId }));
  const moved = before.state !== state || lastingFacts(before.facts) !== lastingFacts(facts);
  return {
    environmentId: before.environmentId,
    changed: true,
    reconcile: before.environmentId !== null && (moved || recorded.reconcile),
  };
}

/** Heard by the server, it needs no word of its peers. */
function withoutPeers(conditions: readonly Condition[]): Condition[] {
  return conditions.filter((c) => c.type !== 'Reachable');
}

function helloEvents(
  before: { id: string; name: string; environmentId: string | null; state: string; lastSeenAt: Date | null },
  facts: HostFacts,
  now: Date,
): EventInput[] {
  const about = {
    environmentId: before.environmentId,
    hostId: before.id,
    regarding: { kind: 'Host', id: before.id, name: before.name },
    type: 'Normal',
  } as const;
  if (before.state === 'registering') {
    const message = `${before.name} registered: ${facts.os}, ${facts.cores} cores, address ${facts.address}`;
    return [{ ...about, reason: 'HostRegistered', message }];
  }
  if (before.state !== 'reconnecting' && before.state !== 'disconnected') return [];
  const durationMs = before.lastSeenAt === null ? null : now.getTime() - before.lastSeenAt.getTime();
  const silence = durationMs === null ? '' : ` after ${inWords(durationMs)} of silence`;
  return [
    {
      ...about,
      reason: 'HostConnected',
      message: `${before.name} is connected again${silence}`,
      data: { durationMs },
    },
  ];
}

/** Facts have changed while connected. What is rendered from them may have too. */
export async function recordFacts(prisma: PrismaClient, hostId: string, facts: HostFacts): Promise<Recorded> {
  let before: Host | undefined;
  const now = new Date();
  const changed = await changeHost(prisma, hostId, (host) => {
    before = host;
    if (canonicalJson(host.facts) === canonicalJson(facts)) return null;
    return { ...factColumns(host, facts), conditions: json(withDisk(conditionsOf(host), facts, now)) };
  });
  if (before === undefined) return { environmentId: null, changed: false, reconcile: false };
  const { environmentId } = before;
  if (!changed) return { environmentId, changed, reconcile: false };
  await recordEvents(prisma, [...movedEvents(before, facts), ...diskEvents(before, facts)]);
  const reconcile = environmentId !== null && lastingFacts(before.facts) !== lastingFacts(facts);
  return { environmentId, changed, reconcile };
}

/** These hosts were heard of just now. */
export async function recordContact(prisma: PrismaClient, hostIds: string[]): Promise<void> {
  if (hostIds.length === 0) return;
  await prisma.$executeRaw`UPDATE "Host" SET "lastSeenAt" = now() WHERE "id" = ANY(${hostIds})`;
}

/** The socket closed. Whether the host is lost is judged by its silence. */
export async function recordDisconnect(
  prisma: PrismaClient,
  { hostId, connectionId }: { hostId: string; connectionId: string },
): Promise<void> {
  await prisma.host.updateMany({
    where: { id: hostId, connectionId },
    data: { connectedTo: null, connectionId: null },
  });
}

/**
 * What a machine says of its local hosts: one that is to go and is not there any more is gone; one that cannot be made
 * says why.
 */
export async function recordLocalHosts(
  prisma: PrismaClient,
  machineId: string,
  localHosts: readonly ObservedLocalHost[],
): Promise<{ environmentIds: string[] }> {
  const listed = new Map(localHosts.map((h) => [h.hostId, h]));
  const hosts = await prisma.host.findMany({
    where: { machineId, removedAt: null },
    select: { id: true, name: true, environmentId: true, desiredState: true, conditions: true, state: true },
  });
  const now = new Date();
  const touched = new Set<string>();
  for (const host of hosts) {
    const conditions = conditionsOf(host);
    const wiping = findCondition(conditions, 'Removed')?.reason === 'Wiping';
    if (wiping && !listed.has(host.id)) {
      const data = { state: 'removed', removedAt: now, resourceVersion: { increment: 1 } };
      await prisma.host.update({ where: { id: host.id }, data });
      await recordEvents(prisma, [hostRemoved(host.environmentId, host, false)]);
    } else if (!(await noteMachineView(prisma, host, listed.get(host.id), now))) continue;
    if (host.environmentId !== null) touched.add(host.environmentId);
  }
  return { environmentIds: [...touched] };
}

/** Keeps what a machine says of one of its hosts as the host's conditions; tells whether that is new. */
async function noteMachineView(
  prisma: PrismaClient,
  host: { id: string; name: string; environmentId: string | null; conditions: unknown },
  seen: ObservedLocalHost | undefined,
  now: Date,
): Promise<boolean> {
  const power = powerTurn(conditionsOf(host), seen);
  const trouble = troubleTurn(conditionsOf(host), seen);
  const turns = [power, trouble].filter((turn) => turn !== null);
  if (turns.length === 0) return false;
  await changeHost(prisma, host.id, (row) => ({
    conditions: json(turns.reduce((all, turn) => setCondition(all, turn, now), conditionsOf(row))),
  }));
  if (power !== null) await recordEvents(prisma, [powerEvent(host, power.status === 'True')]);
  return true;
}

/** A host that was never off needs no word of being on. */
function powerTurn(
  conditions: readonly Condition[],
  seen: ObservedLocalHost | undefined,
): ConditionInput | null {
  const isOff = findCondition(conditions, 'Powered')?.status === 'False';
  if (seen?.state === 'off' && !isOff)
    return { type: 'Powered', status: 'False', reason: 'PoweredOff', message: 'Its machine has it off' };
  if (seen?.state === 'running' && isOff)
    return { type: 'Powered', status: 'True', reason: 'PoweredOn', message: 'Its machine has it on' };
  return null;
}

function powerEvent(host: { id: string; name: string; environmentId: string | null }, on: boolean) {
  return {
    environmentId: host.environmentId,
    hostId: host.id,
    regarding: { kind: 'Host', id: host.id, name: host.name },
    type: on ? 'Normal' : 'Warning',
    reason: on ? 'HostPoweredOn' : 'HostPoweredOff',
    message: on ? `${host.name} was switched on` : `${host.name} was switched off, as by pulling the plug`,
  } as const;
}

/** The trouble that a machine has with making a host. */
function troubleTurn(
  conditions: readonly Condition[],
  seen: ObservedLocalHost | undefined,
): ConditionInput | null {
  const before = findCondition(conditions, 'Ready');
  const failed = seen?.state === 'failed';
  const noted = before?.reason === 'LocalHostFailed';
  const message = seen?.message ?? 'The machine could not make this host';
  if (!failed && !noted) return null;
  if (failed && noted && before.message === message) return null;
  return failed
    ? { type: 'Ready', status: 'False', reason: 'LocalHostFailed', message, lastError: message }
    : {
        type: 'Ready',
        status: 'Unknown',
        reason: 'LocalHostMade',
        message: 'The machine has made this host',
      };
}

interface Silence {
  afterMs: number;
  state: HostState;
  reason: EventInput['reason'];
  word: string;
}

/** What silence makes of a host, the longest first; how long that is, is an option of its environment. */
function silencesOf(options: EnvironmentOptions): [Silence, Silence] {
  const { hosts } = withDefaults(options);
  return [
    {
      afterMs: hosts.disconnectedAfterSeconds * 1000,
      state: 'disconnected',
      reason: 'HostDisconnected',
      word: 'counts as lost',
    },
    {
      afterMs: hosts.reconnectingAfterSeconds * 1000,
      state: 'reconnecting',
      reason: 'HostReconnecting',
      word: 'is waited for',
    },
  ];
}

/**
 * Judges hosts by their silence: 15 s → reconnecting, 40 s → disconnected (options of the environment), and then its
 * instances are unknown.
 * @param heardSince when those who listen for the hosts were last not listening: silence from before is our own
 * @returns environments to be reconciled
 */
export async function recordSilence(prisma: PrismaClient, heardSince: Date, now: Date): Promise<string[]> {
  const hosts = await prisma.host.findMany({
    where: {
      removedAt: null,
      state: { in: ['active', 'reconnecting'] },
      // None is judged sooner: a ping, and the batch in which it is written.
      lastSeenAt: { lt: new Date(now.getTime() - 2 * agentTimings.pingSeconds * 1000) },
    },
    include: { environment: { select: { options: true } } },
  });
  const touched = new Set<string>();
  for (const host of hosts) {
    const silentMs = now.getTime() - Math.max(host.lastSeenAt!.getTime(), heardSince.getTime());
    const silences = silencesOf((host.environment?.options ?? {}) as EnvironmentOptions);
    const silence = silences.find((s) => silentMs >= s.afterMs);
    if (silence === undefined || silence.state === host.state) continue;
    const message = `${host.name} has been silent for ${inWords(silentMs)} and ${silence.word}`;
    const condition: ConditionInput = {
      type: 'Connected',
      status: silence.state === 'disconnected' ? 'False' : 'Unknown',
      reason: silence.reason,
      message: `Last heard of at ${host.lastSeenAt!.toISOString()}`,
      deadline: new Date(host.lastSeenAt!.getTime() + silences[0].afterMs).toISOString(),
    };
    const { count } = await prisma.host.updateMany({
      // Heard of meanwhile, it is not silent.
      where: { id: host.id, lastSeenAt: host.lastSeenAt },
      data: {
        state: silence.state,
        conditions: json(setCondition(conditionsOf(host), condition, now)),
        resourceVersion: { increment: 1 },
      },
    });
    if (count === 0) continue;
    if (silence.state === 'disconnected') {
      await prisma.instance.updateMany({
        where: { hostId: host.id, removedAt: null, state: { not: 'stopping' } },
        data: { state: 'unknown', health: 'unknown' },
      });
    }
    await recordEvents(prisma, [
      {
        environmentId: host.environmentId,
        hostId: host.id,
        regarding: { kind: 'Host', id: host.id, name: host.name },
        type: 'Warning',
        reason: silence.reason,
        message,
        data: { silentMs },
      },
    ]);
    if (host.environmentId !== null) touched.add(host.environmentId);
  }
  return [...touched];
}
