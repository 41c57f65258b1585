import { setTimeout as delay } from 'node:timers/promises';
import { recordEvents } from '@rancher/db';
import type { EventInput } from '@rancher/domain';
import { ApiGone, Refused } from '../cluster.ts';
import type { Context } from '../context.ts';
import { setHostCondition } from '../host-row.ts';
import { isWiping } from '../removal.ts';
import { type HostRow, json, type OperationRow } from '../world.ts';
import { blockedWords, drainRound } from './drain.ts';
import { type DrainDetails, type DrainOptions, drainDefaults, removalDefaults } from './drain-options.ts';

/** Between two rounds (ms): pods take seconds to end. */
const pauseMs = 500;
/** … for so long within one job (ms); then the next job goes on. */
const withinMs = 10_000;

/** Operations of which this does the part that is in the cluster; the reconciler keeps their steps. */
const kinds = ['host.cordon', 'host.uncordon', 'host.drain', 'host.evacuate', 'host.remove'] as const;
type Kind = (typeof kinds)[number];

/** Ids of such operations under way, for the sweep. */
export async function hostOperationsUnderWay({ prisma }: Pick<Context, 'prisma'>): Promise<string[]> {
  const rows = await prisma.operation.findMany({
    where: { kind: { in: [...kinds] }, state: { in: ['pending', 'running'] } },
    select: { id: true },
  });
  return rows.map((row) => row.id);
}

/**
 * Does in the cluster what was asked of a host, a round at a time, until it is done, canceled, or given up. What it
 * finds is kept in the operation's details, from which the reconciler tells its steps; what was done is seen in the
 * cluster, so a worker that dies in the middle loses nothing.
 */
export async function advanceHostOperation(
  context: Context,
  operationId: string,
  signal: AbortSignal,
): Promise<void> {
  const until = Date.now() + withinMs;
  while (!signal.aborted) {
    if (await round(context, operationId)) return;
    if (Date.now() > until) {
      await context.queue.enqueue('advance-host-operation', { operationId }, { delayMs: pauseMs });
      return;
    }
    await delay(pauseMs, undefined, { signal }).catch(() => undefined);
  }
}

interface Asked {
  operation: OperationRow & { kind: Kind; environmentId: string };
  host: HostRow & { removedAt: string | null };
  details: DrainDetails;
}

/** True: there is nothing more to be done here. */
export async function round(context: Context, operationId: string): Promise<boolean> {
  const asked = await load(context, operationId);
  if (asked === null || asked.details.error !== undefined) return true;
  let next: DrainDetails;
  try {
    next = await act(context, asked);
  } catch (error) {
    if (error instanceof ApiGone) return false;
    next = overdue(asked, { ...asked.details, lastError: (error as Error).message });
  }
  await keep(context, asked, next);
  return next.error !== undefined || isDone(asked.operation.kind, next);
}

async function load({ prisma }: Context, operationId: string): Promise<Asked | null> {
  const row = await prisma.operation.findFirst({
    where: { id: operationId, kind: { in: [...kinds] }, state: { in: ['pending', 'running'] } },
  });
  if (row === null) return null;
  const operation = JSON.parse(JSON.stringify(row)) as Asked['operation'];
  const host = await prisma.host.findUnique({
    where: { id: operation.target.id },
    include: { environment: { select: { desiredState: true } } },
  });
  if (host?.environment == null || host.environment.desiredState === 'removed') return null;
  return {
    operation,
    host: JSON.parse(JSON.stringify(host)) as Asked['host'],
    details: operation.details as DrainDetails,
  };
}

function isDone(kind: Kind, details: DrainDetails): boolean {
  if (kind === 'host.cordon' || kind === 'host.uncordon') return details.cordonedAt !== undefined;
  return kind === 'host.drain' ? details.drainedAt !== undefined : details.nodeRemovedAt !== undefined;
}

/** The next thing that is to be done, and what is known after it. */
async function act(context: Context, asked: Asked): Promise<DrainDetails> {
  const { operation, host, details } = asked;
  const now = new Date();
  if (details.cordonedAt === undefined) {
    await setUnschedulable(context, operation.environmentId, host.name, operation.kind !== 'host.uncordon');
    return { ...details, cordonedAt: now.toISOString() };
  }
  if (details.drainedAt === undefined) {
    const lost = host.state !== 'active';
    if (operation.kind === 'host.remove' && lost)
      return { ...details, drainedAt: now.toISOString(), skipped: `${host.name} cannot be seen` };
    return drainRound(context, drainOf(asked, lost), details, now);
  }
  if (operation.kind === 'host.drain' || (await hasKubelet(context, asked))) return details;
  await context.cluster.deleteNode(operation.environmentId, host.name).catch(unlessGone);
  if (operation.kind === 'host.evacuate') await recordEvacuated(context, host.id, now);
  return { ...details, nodeRemovedAt: now.toISOString() };
}

/** Its kubelet must be gone before its Node, or it would register again; what a lost host is to stop counts as gone. */
async function hasKubelet({ prisma }: Context, { operation, host }: Asked): Promise<boolean> {
  if (operation.kind === 'host.remove') return host.removedAt === null && !isWiping(host);
  const lost = host.state !== 'active';
  const kubelet = { hostId: host.id, service: 'kubelet', removedAt: null };
  const living = await prisma.instance.count({
    where: { ...kubelet, ...(lost ? { state: { not: 'stopping' } } : {}) },
  });
  return living > 0;
}

async function recordEvacuated({ prisma }: Context, hostId: string, now: Date): Promise<void> {
  const message = 'It is evacuated: it has no Node until it is uncordoned';
  const condition = { type: 'Ready', status: 'False', reason: 'Evacuated', message } as const;
  await setHostCondition(prisma, hostId, condition, now);
}

/** Makes a Node take new pods, or none. One that is not there yet is seen to when it joins. */
export async function setUnschedulable(
  { cluster }: Context,
  environmentId: string,
  node: string,
  unschedulable: boolean,
): Promise<void> {
  const path = `/api/v1/nodes/${encodeURIComponent(node)}`;
  await cluster.kube(environmentId, 'PATCH', path, { spec: { unschedulable } }).catch(unlessGone);
}

function unlessGone(error: unknown): void {
  if (!(error instanceof Refused) || error.status !== 404) throw error;
}

function drainOf({ operation, host }: Asked, lost: boolean) {
  return {
    environmentId: operation.environmentId,
    node: host.name,
    lost,
    options: optionsOf(operation),
    unmanagedToo: operation.kind === 'host.remove',
    since: Date.parse(operation.createdAt),
  };
}

function optionsOf({ kind, options }: Pick<OperationRow, 'kind' | 'options'>): DrainOptions {
  return { ...(kind === 'host.remove' ? removalDefaults : drainDefaults), ...options };
}

/** A Kubernetes API that does not answer is waited for until the deadline of the drain. */
function overdue({ operation }: Asked, details: DrainDetails): DrainDetails {
  const { deadlineSeconds } = optionsOf(operation);
  if (details.drainedAt !== undefined) return details;
  if (Date.now() - Date.parse(operation.createdAt) < deadlineSeconds * 1000) return details;
  const message = `The Kubernetes API did not do it within ${deadlineSeconds} s: ${details.lastError}`;
  return { ...details, error: { code: 'deadline_exceeded', message } };
}

/** Writes what is new, with what follows from it: intent for the reconciler, events, a wake-up. */
async function keep(context: Context, asked: Asked, next: DrainDetails): Promise<void> {
  const { operation, details } = asked;
  const { prisma, queue } = context;
  if (JSON.stringify(next) === JSON.stringify(details)) return;
  const written = await prisma.$transaction(async (tx) => {
    const { count } = await tx.operation.updateMany({
      where: { id: operation.id, state: { in: ['pending', 'running'] } },
      data: { details: json(next) },
    });
    const intent = count === 0 ? null : intentAfter(asked, next);
    if (intent !== null) {
      const data = { ...intent, generation: { increment: 1 }, resourceVersion: { increment: 1 } };
      await tx.host.update({ where: { id: operation.target.id }, data });
    }
    return count > 0;
  });
  if (!written) return;
  await recordEvents(prisma, eventsOf(asked, next));
  await queue.enqueue('reconcile-environment', { environmentId: operation.environmentId });
}

/** What of the host's intent follows: once its pods have left, the rest of what was asked for is the reconciler's. */
function intentAfter({ operation, details }: Asked, next: DrainDetails) {
  // From here on it is left to kubectl again.
  if (operation.kind === 'host.uncordon') return { unschedulable: null };
  if (details.drainedAt !== undefined || next.drainedAt === undefined) return null;
  if (operation.kind === 'host.evacuate') return { evacuated: true };
  return operation.kind === 'host.remove' ? { desiredState: 'removed' } : null;
}

function eventsOf({ operation, host, details }: Asked, next: DrainDetails): EventInput[] {
  const about = {
    environmentId: operation.environmentId,
    hostId: host.id,
    regarding: { kind: 'Host', id: host.id, name: host.name },
  } as const;
  const events: EventInput[] = [];
  if (details.cordonedAt === undefined && next.cordonedAt !== undefined) {
    const off = operation.kind === 'host.uncordon';
    events.push({
      ...about,
      type: 'Normal',
      reason: off ? 'HostUncordoned' : 'HostCordoned',
      message: off ? `${host.name} takes new pods again` : `${host.name} takes no new pods`,
    });
  }
  const known = new Set(details.blocked?.map((b) => `${b.namespace}/${b.pod}`));
  for (const pod of next.blocked ?? []) {
    if (known.has(`${pod.namespace}/${pod.pod}`)) continue;
    events.push({ ...about, type: 'Warning', reason: 'PodEvictionBlocked', message: blockedWords(pod) });
  }
  if (details.drainedAt === undefined && next.drainedAt !== undefined) {
    const gone = `${next.pods?.total ?? 0} pods have left ${host.name}`;
    const message = next.skipped === undefined ? gone : `${host.name} was not drained: ${next.skipped}`;
    events.push({
      ...about,
      type: next.skipped === undefined ? 'Normal' : 'Warning',
      reason: 'HostDrained',
      message,
    });
  }
  return events;
}
