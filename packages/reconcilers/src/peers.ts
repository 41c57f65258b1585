import { recordEvents } from '@rancher/db';
import {
  type Condition,
  type ConditionInput,
  type EventInput,
  findCondition,
  setCondition,
} from '@rancher/domain';
import { listWords } from '@rancher/planner';
import type { Context } from './context.ts';
import { changeHost, conditionsOf } from './host-row.ts';
import { type HostRow, json, loadWorld, type World } from './world.ts';

/** So many of its peers are asked of a silent host: enough that a broken link between two says nothing. */
const askedPeers = 5;

/**
 * Tells "the server cannot see the host" from "the host is down": the other hosts of its environment are asked whether they
 * reach it, and what they say is kept as its condition `Reachable`. True: it runs, and only its way to the server is cut,
 * so what it runs stays. False: nobody reaches it. Unknown: there is nobody to ask.
 */
export async function askPeers(context: Context, environmentId: string): Promise<void> {
  const world = await loadWorld(context.prisma, environmentId);
  if (world === null || world.environment.desiredState === 'removed') return;
  const silent = world.hosts.filter((h) => isSilent(h) && h.address !== null);
  const turned = await Promise.all(silent.map((host) => askAbout(context, world, host)));
  const events = turned.filter((event) => event !== null);
  if (events.length === 0) return;
  await recordEvents(context.prisma, events);
  await context.queue.enqueue('reconcile-environment', { environmentId });
}

/** Environments with hosts about which peers are to be asked. */
export async function environmentsWithSilentHosts({ prisma }: Pick<Context, 'prisma'>): Promise<string[]> {
  const rows = await prisma.host.findMany({
    where: {
      removedAt: null,
      environmentId: { not: null },
      desiredState: 'active',
      state: { in: ['reconnecting', 'disconnected'] },
    },
    select: { environmentId: true },
    distinct: ['environmentId'],
  });
  return rows.map((row) => row.environmentId!);
}

function isSilent(host: HostRow): boolean {
  return host.desiredState === 'active' && ['reconnecting', 'disconnected'].includes(host.state);
}

/** The event of what turned, or null. */
async function askAbout(context: Context, world: World, host: HostRow): Promise<EventInput | null> {
  const peers = world.hosts
    .filter((h) => h.id !== host.id && h.state === 'active' && h.connectedTo !== null)
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .slice(0, askedPeers);
  const answers = await Promise.all(
    peers.map(async (peer) => {
      // One that is silent itself says nothing of another.
      const reaches = await context.cluster.reaches(peer.id, host.id).catch(() => null);
      return { name: peer.name, reaches };
    }),
  );
  const condition = conditionFrom(
    host,
    answers.filter((a) => a.reaches === true).map((a) => a.name),
    answers.filter((a) => a.reaches === false).map((a) => a.name),
  );
  const before = findCondition(host.conditions, 'Reachable');
  if (before?.status === condition.status && before.message === condition.message) return null;
  const written = await changeHost(context.prisma, host.id, (row) =>
    // Heard of meanwhile, it needs no word of others.
    row.state === 'active' || row.state === 'removing'
      ? null
      : { conditions: json(setCondition(conditionsOf(row), condition, new Date())) },
  );
  return written ? eventOf(world, host, before, condition) : null;
}

function conditionFrom(host: HostRow, seenBy: string[], notBy: string[]): ConditionInput {
  const type = 'Reachable' as const;
  const machine = findCondition(host.conditions, 'Powered');
  const power = machine?.status === 'False' ? '. Its machine has it off' : '';
  if (seenBy.length > 0) {
    const verb = seenBy.length === 1 ? 'reaches' : 'reach';
    const message = `${listWords(seenBy)} ${verb} ${host.name}: it runs, and the server cannot see it`;
    return { type, status: 'True', reason: 'SeenByPeers', message, seenBy };
  }
  if (notBy.length > 0)
    return {
      type,
      status: 'False',
      reason: 'NotSeenByPeers',
      message: `${listWords(notBy)} cannot reach ${host.name} either: it is down, or cut off${power}`,
    };
  return {
    type,
    status: 'Unknown',
    reason: 'NoPeers',
    message: `There is no other host that could be asked about ${host.name}${power}`,
  };
}

function eventOf(
  world: World,
  host: HostRow,
  before: Condition | undefined,
  { status, message }: ConditionInput,
): EventInput | null {
  if (before?.status === status) return null;
  return {
    environmentId: world.environment.id,
    hostId: host.id,
    regarding: { kind: 'Host', id: host.id, name: host.name },
    type: 'Warning',
    reason: status === 'True' ? 'HostReachedByPeers' : 'HostNotReached',
    message,
  };
}
