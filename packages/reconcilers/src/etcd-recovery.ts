import { components, etcdDataDir } from '@rancher/components';
import type { Prisma } from '@rancher/db';
import { DomainError, findCondition, newId, setCondition } from '@rancher/domain';
import { inWords, listWords, quorumOf } from '@rancher/planner';
import { peerOf } from './etcd-members.ts';
import { type HostRow, json, type MemberRow, ms, type World } from './world.ts';

/** What a member of etcd says itself, which it does without quorum too. */
export interface MemberAnswer {
  hostId: string;
  /** It knows a leader, so it has quorum with others. */
  leader: boolean;
  /** Raft index up to which it has applied everything. */
  appliedIndex: number;
}

/** A member as one who decides about a recovery wants to know it. */
export interface RecoveryMember {
  hostId: string;
  host: string;
  answers: boolean;
  /** Now where it answers, else when it was last asked with success; null where it never was. */
  appliedIndex: number | null;
  appliedAt: string | null;
  /** When its host was last heard. */
  lastSeenAt: string | null;
}

export interface RecoveryChoice {
  survivor: { hostId: string; host: string; memberId: string; appliedIndex: number };
  members: RecoveryMember[];
  /** In words what may be lost. */
  message: string;
}

/** What a recovery writes down with its operation. */
export interface RecoveryDetails extends RecoveryChoice {
  /** Of the member that etcd begins anew with. */
  memberId: string;
  /** Instances that knew the etcd of before: another run of each takes their place. */
  supersedes: string[];
}

/**
 * The member to recover from: of those that vote and answer the one that has applied the most, or the one on the host that
 * was asked for.
 * @throws DomainError `conflict` where quorum is not lost, may be held out of our sight, or nobody answers;
 *   `invalid_value` for a host without a member
 */
export function chooseSurvivor(
  world: World,
  answers: readonly MemberAnswer[],
  now: Date,
  hostId?: string,
): RecoveryChoice {
  const voters = world.members.filter((m) => m.voting);
  const members = voters
    .map((m) => memberOf(world, m, answers, now))
    .sort((a, b) => (a.host < b.host ? -1 : 1));
  assertLost(world, members, answers);
  const able = members.filter((m) => m.answers);
  const chosen =
    hostId === undefined
      ? able.reduce((best, m) => (m.appliedIndex! > best.appliedIndex! ? m : best))
      : asked(world, members, hostId);
  const { id: memberId } = voters.find((m) => m.hostId === chosen.hostId)!;
  const survivor = {
    ...{ hostId: chosen.hostId, host: chosen.host, memberId },
    appliedIndex: chosen.appliedIndex!,
  };
  return { survivor, members, message: lossWords(survivor, members, now) };
}

function memberOf(
  world: World,
  { hostId, appliedIndex, appliedAt }: MemberRow,
  answers: readonly MemberAnswer[],
  now: Date,
): RecoveryMember {
  const host = world.hosts.find((h) => h.id === hostId);
  const answer = answers.find((a) => a.hostId === hostId);
  const about = { hostId, host: host?.name ?? hostId, lastSeenAt: host?.lastSeenAt ?? null };
  return answer === undefined
    ? { ...about, answers: false, appliedIndex, appliedAt }
    : { ...about, answers: true, appliedIndex: answer.appliedIndex, appliedAt: now.toISOString() };
}

function assertLost(
  world: World,
  members: readonly RecoveryMember[],
  answers: readonly MemberAnswer[],
): void {
  const { name, desiredState } = world.environment;
  const refuse = (why: string) => new DomainError('conflict', why);
  if (desiredState === 'inactive')
    throw refuse(`Environment ${name} is deactivated, so nothing of it is changed; activate it first.`);
  if (members.length === 0) throw refuse(`etcd of environment ${name} has no member.`);
  const names = (of: readonly { host: string }[]) => listWords(of.map((m) => m.host));
  const led = members.filter((m) => answers.some((a) => a.hostId === m.hostId && a.leader));
  if (led.length > 0)
    throw refuse(`etcd of environment ${name} has not lost quorum: ${names(led)} knows a leader.`);
  const able = members.filter((m) => m.answers);
  const quorum = quorumOf(members.length);
  if (able.length >= quorum)
    throw refuse(
      `${able.length} of ${members.length} members answer (${names(able)}), and ${quorum} are enough: they elect a leader by themselves.`,
    );
  if (able.length === 0)
    throw refuse(
      `No member of etcd answers (${names(members)}), so there is nothing to recover from: bring one of their hosts back.`,
    );
  const seen = members.filter((m) => !m.answers && isReached(world.hosts.find((h) => h.id === m.hostId)));
  if (seen.length >= quorum)
    throw refuse(
      `Other hosts reach ${names(seen)}, which the server cannot see: they may have the quorum among themselves. Switch them off first.`,
    );
}

/** It is silent, and a host of its environment reaches it. */
function isReached(host: HostRow | undefined): boolean {
  if (host === undefined || host.state === 'active') return false;
  return findCondition(host.conditions, 'Reachable')?.status === 'True';
}

function asked(world: World, members: readonly RecoveryMember[], hostId: string): RecoveryMember {
  const found = members.find((m) => m.hostId === hostId);
  const host = world.hosts.find((h) => h.id === hostId)?.name ?? hostId;
  if (found === undefined)
    throw new DomainError('invalid_value', `${host} has no member of etcd that votes.`, {
      pointer: '/hostId',
    });
  if (!found.answers)
    throw new DomainError('conflict', `The member of etcd on ${host} does not answer.`, {
      pointer: '/hostId',
    });
  return found;
}

/** What the others held is known up to when they were last asked; what came after, nobody can tell but they. */
function lossWords(
  survivor: RecoveryChoice['survivor'],
  members: readonly RecoveryMember[],
  now: Date,
): string {
  const others = members.filter((m) => m.hostId !== survivor.hostId);
  const words = others.map((m) => {
    if (m.appliedIndex === null) return `what ${m.host} holds is not known`;
    const when = m.answers ? 'answers' : `was last asked ${inWords(now.getTime() - ms(m.appliedAt)!)} ago`;
    const more = m.appliedIndex - survivor.appliedIndex;
    const held =
      more > 0
        ? `held ${more} ${more === 1 ? 'change' : 'changes'} that ${survivor.host} has not, which are lost`
        : `held nothing that ${survivor.host} has not`;
    return `${m.host} ${when}, and ${held}`;
  });
  const silent = others.filter((m) => !m.answers).map((m) => m.host);
  const later = `What ${listWords(silent)} took on since then without ${survivor.host} is lost too: make sure that they are off`;
  return `etcd begins anew with what ${survivor.host} holds. ${capital(words.join('; '))}. ${later}.`;
}

const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);

const knowers = new Set(components.filter((c) => c.placement !== 'all').map((c) => c.name));

/**
 * Writes down that etcd is to begin anew: its only member is a new one, whose data is made from the survivor's. To be called
 * in a transaction that holds the environment's lock.
 * @throws DomainError `conflict` when the members are no longer those that were asked
 */
export async function recordRecovery(
  tx: Prisma.TransactionClient,
  world: World,
  choice: RecoveryChoice,
  now: Date,
): Promise<RecoveryDetails> {
  const { id: environmentId, name, conditions } = world.environment;
  const rows = await tx.etcdMember.findMany({ where: { environmentId }, orderBy: { id: 'asc' } });
  const known = (all: readonly { id: string; state: string }[]) =>
    all.map((m) => `${m.id} ${m.state}`).join();
  if (known(rows) !== known(world.members))
    throw new DomainError(
      'conflict',
      `The members of etcd of environment ${name} changed meanwhile; ask again.`,
    );
  const before = world.members.find((m) => m.id === choice.survivor.memberId)!;
  const memberId = newId('etcdMember');
  await tx.etcdMember.deleteMany({ where: { environmentId } });
  await tx.etcdMember.create({
    data: {
      ...{ id: memberId, environmentId, hostId: before.hostId, state: 'voter', voting: true },
      dataDir: etcdDataDir(memberId),
      initialCluster: peerOf(world, before.hostId).entry,
      initialClusterState: 'existing',
      recoveredFrom: before.dataDir,
      reason: `etcd was recovered from what ${choice.survivor.host} held`,
    },
  });
  const waiting = setCondition(
    conditions,
    { type: 'ApiServerReady', status: 'False', reason: 'EtcdRecovering', message: 'etcd is being recovered' },
    now,
  );
  await tx.environment.update({
    where: { id: environmentId },
    data: {
      etcdRecovery: memberId,
      conditions: json(waiting),
      generation: { increment: 1 },
      resourceVersion: { increment: 1 },
    },
  });
  const supersedes = (world.plan?.instances ?? []).filter((i) => knowers.has(i.service)).map((i) => i.id);
  return { ...choice, memberId, supersedes };
}
