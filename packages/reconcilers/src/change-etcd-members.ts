import { setTimeout as delay } from 'node:timers/promises';
import { recordEvents } from '@rancher/db';
import { type EventInput, type EventReason, isEtcdCallPending } from '@rancher/domain';
import type { EtcdMemberChange } from './cluster.ts';
import type { Context } from './context.ts';
import { peerOf } from './etcd-members.ts';
import { loadWorld, type MemberRow, type World } from './world.ts';

/** A learner catches up within a second or so: then it is promoted as soon as etcd allows it (ms). */
const againMs = 200;
/** … for so long within one job (ms); then the next job goes on. */
const againForMs = 10_000;

/**
 * Carries out what was recorded as intended of an environment's etcd members. Each call may be made again, so a crash at any
 * point loses nothing; what is done is recorded, and the reconciler takes the next step from there.
 */
export async function changeEtcdMembers(
  context: Context,
  environmentId: string,
  signal: AbortSignal,
): Promise<void> {
  const until = Date.now() + againForMs;
  for (;;) {
    const world = await loadWorld(context.prisma, environmentId);
    if (world === null || world.environment.desiredState === 'removed') return;
    const member = world.members.find(isEtcdCallPending);
    if (member === undefined) return;
    const done = await carryOut(context, world, member);
    if (done) await context.queue.enqueue('reconcile-environment', { environmentId });
    if (signal.aborted) return;
    if (!done && Date.now() > until) {
      await context.queue.enqueue('change-etcd-members', { environmentId }, { delayMs: 2_000 });
      return;
    }
    if (!done) await delay(againMs, undefined, { signal }).catch(() => undefined);
  }
}

const calls = { adding: 'add', promoting: 'promote', removing: 'remove' } as const;

/** One call, and its record. False: it failed, and why is recorded. */
async function carryOut(context: Context, world: World, member: MemberRow): Promise<boolean> {
  const environmentId = world.environment.id;
  const kind = calls[member.state as keyof typeof calls];
  try {
    const { name, url } = peerOf(world, member.hostId);
    const change: EtcdMemberChange = { kind, name, peerUrl: url };
    const { initialCluster } = await context.cluster.changeEtcdMember(environmentId, change);
    if (await recordDone(context, member, initialCluster)) {
      await recordEvents(context.prisma, [doneEvent(world, member, name)]);
    }
    return true;
  } catch (error) {
    const { message } = error as Error;
    if (message !== member.lastError) {
      await context.prisma.etcdMember.updateMany({
        where: { id: member.id, state: member.state },
        data: { lastError: message },
      });
      await context.queue.enqueue('reconcile-environment', { environmentId });
    }
    context.logger.info(
      { err: error, environmentId, member: member.id, call: kind },
      'etcd member not changed',
    );
    return false;
  }
}

/** False: it was recorded already. */
async function recordDone(
  { prisma }: Context,
  { id, state }: MemberRow,
  initialCluster: string,
): Promise<boolean> {
  const where = { id, state };
  const done =
    state === 'removing'
      ? await prisma.etcdMember.deleteMany({ where })
      : await prisma.etcdMember.updateMany({
          where,
          data:
            state === 'adding'
              ? { state: 'learner', initialCluster, lastError: null }
              : { state: 'voter', voting: true, lastError: null },
        });
  return done.count > 0;
}

const told: Record<keyof typeof calls, { reason: EventReason; words: string }> = {
  adding: { reason: 'EtcdMemberAdded', words: 'was added to etcd as a learner' },
  promoting: { reason: 'EtcdMemberPromoted', words: 'has caught up, and votes in etcd' },
  removing: { reason: 'EtcdMemberRemoved', words: 'was removed from etcd' },
};

function doneEvent(world: World, member: MemberRow, hostName: string): EventInput {
  const { reason, words } = told[member.state as keyof typeof told];
  return {
    environmentId: world.environment.id,
    hostId: member.hostId,
    regarding: { kind: 'EtcdMember', id: member.id, name: `etcd on ${hostName}` },
    type: 'Normal',
    reason,
    message: `The member on ${hostName} ${words}: ${member.reason}`,
  };
}
