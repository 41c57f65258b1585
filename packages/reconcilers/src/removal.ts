import { channels } from '@rancher/contracts';
import { notify, recordEvents } from '@rancher/db';
import { findCondition, type Plan, setCondition } from '@rancher/domain';
import type { Context } from './context.ts';
import { type HostRow, json, type World } from './world.ts';

/** How long the instances of a host get to stop before it is wiped all the same (ms). */
const stopWithinMs = 60_000;
/** How long a host gets to be wiped before its row goes all the same; should it come back, it is told then (ms). */
const wipeWithinMs = 120_000;

/** Its instances are gone, or were given up: its agent, or its machine, is told to wipe it. */
export function isWiping(host: Pick<HostRow, 'conditions'>): boolean {
  return findCondition(host.conditions, 'Removed')?.reason === 'Wiping';
}

/**
 * Moves hosts that leave by one step: instances stopped → wiped → row gone. Each step ends by its deadline at the latest,
 * so nothing broken can keep an environment from being removed.
 * @returns when to look again (ms), or null
 */
export async function advanceRemovals(context: Context, world: World, now: Date): Promise<number | null> {
  const all = world.environment.desiredState === 'removed';
  const planned = new Set(world.plan?.instances.map((i) => i.hostId));
  const leaving = world.hosts.filter((h) => (all || h.desiredState === 'removed') && !planned.has(h.id));
  const deadlines: number[] = [];
  for (const host of leaving) {
    const deadline = isWiping(host)
      ? await endWiping(context, world, host, now)
      : await beginWiping(context, world, host, now);
    if (deadline !== null) deadlines.push(deadline);
  }
  return deadlines.length === 0 ? null : Math.min(...deadlines);
}

async function beginWiping(
  { prisma }: Context,
  world: World,
  host: HostRow,
  now: Date,
): Promise<number | null> {
  const living = world.instances.filter((i) => i.hostId === host.id);
  const deadline = stoppedBy(world.plan, now);
  if (living.length > 0 && host.connectedTo !== null && now.getTime() < deadline) return deadline;
  const wiped = now.getTime() + wipeWithinMs;
  const condition = {
    type: 'Removed',
    status: 'False',
    reason: 'Wiping',
    message:
      living.length === 0
        ? 'All instances have stopped; the host is wiped'
        : 'Instances were given up; the host is wiped',
    deadline: new Date(wiped).toISOString(),
  } as const;
  await prisma.instance.updateMany({
    where: { hostId: host.id, removedAt: null },
    data: { state: 'removed', removedAt: now },
  });
  await prisma.host.update({
    where: { id: host.id },
    data: {
      desiredState: 'removed',
      state: 'removing',
      conditions: json(setCondition(host.conditions, condition, now)),
      resourceVersion: { increment: 1 },
    },
  });
  await notify(prisma, channels.plan, world.environment.id);
  if (host.machineId !== null) await notify(prisma, channels.machine, host.machineId);
  return wiped;
}

async function endWiping(
  { prisma, queue }: Context,
  world: World,
  host: HostRow,
  now: Date,
): Promise<number | null> {
  const deadline = Date.parse(findCondition(host.conditions, 'Removed')?.deadline ?? '') || 0;
  // A machine says goodbye by hanging up; a local host's end is told by its machine (recordLocalHosts).
  const done = host.kind === 'machine' && host.connectedTo === null;
  const late = now.getTime() >= deadline;
  if (!done && !late) return deadline;
  await prisma.host.update({
    where: { id: host.id },
    data: { state: 'removed', removedAt: now, resourceVersion: { increment: 1 } },
  });
  await recordEvents(prisma, [hostRemoved(world.environment.id, host, late && !done)]);
  await queue.enqueue('reconcile-environment', { environmentId: world.environment.id });
  return null;
}

export function hostRemoved(
  environmentId: string | null,
  host: { id: string; name: string },
  unseen: boolean,
) {
  return {
    environmentId,
    hostId: host.id,
    regarding: { kind: 'Host', id: host.id, name: host.name },
    type: unseen ? 'Warning' : 'Normal',
    reason: 'HostRemoved',
    message: unseen
      ? `${host.name} did not confirm that it was wiped; it is told when it comes back`
      : `${host.name} was wiped and removed`,
  } as const;
}

function stoppedBy(plan: Plan | null, now: Date): number {
  return plan === null ? now.getTime() : Date.parse(plan.createdAt) + stopWithinMs;
}
