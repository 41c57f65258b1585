import { type EtcdMemberStep, isEtcdCallPending } from '@rancher/domain';
import { type Change, leavingReason } from './changes.ts';
import { isStale } from './diagnosis.ts';
import { memberId } from './placement/index.ts';
import { allows, type Member, type Step } from './quorum.ts';
import type { PlannerMember, PlannerService } from './types.ts';
import { isConnected, isHealthy, nameOf, place, type World } from './world.ts';

/** A learner whose process failed so often is taken out and added anew: what it starts with may be wrong. */
const hopelessFailures = 5;

/** The first members, to be recorded before their plan is. */
export function foundingSteps(world: World): EtcdMemberStep[] {
  if (world.input.members.length > 0) return [];
  return world.members.map((m) => ({
    kind: 'found',
    memberId: m.id,
    hostId: m.hostId,
    reason: `etcd begins with ${world.members.length} ${world.members.length === 1 ? 'member' : 'members'}`,
  }));
}

/**
 * The next step of etcd's membership, or null, with in words why it must wait. In this order: a dead member leaves before
 * one joins; a learner that has caught up votes before the next joins; a healthy one leaves last of all, when nothing
 * on its host needs it any more.
 */
export function nextMemberStep(
  world: World,
  service: PlannerService,
): { step: EtcdMemberStep; refusal: string | null } | null {
  const [step] = memberSteps(world, service);
  if (step === undefined) return null;
  if (step.kind !== 'remove') return { step, refusal: refused(world, quorumStep(step)) };
  const inUse = isAlive(world, service, step.hostId) ? neededThere(world, service, step.hostId) : null;
  return { step, refusal: refused(world, quorumStep(step)) ?? inUse };
}

function memberSteps(world: World, service: PlannerService): EtcdMemberStep[] {
  const target = world.placement.get(service.name)?.hosts ?? [];
  const { members } = world;
  const leave = (m: PlannerMember) => step('remove', m, leavingReason(world, service, m.hostId));
  const leaving = members.filter((m) => !target.includes(m.hostId));
  const learners = members.filter((m) => m.state === 'learner' && target.includes(m.hostId));
  const failures = (m: PlannerMember) =>
    world.input.parent?.failures[place(service.name, m.hostId)]?.count ?? 0;
  const alive = (m: PlannerMember) => isAlive(world, service, m.hostId);
  return [
    ...leaving.filter((m) => !m.voting || !alive(m)).map(leave),
    ...learners
      .filter((m) => !alive(m) && failures(m) >= hopelessFailures)
      .map((m) =>
        step('remove', m, `etcd on ${nameOf(world, m.hostId)} keeps failing before it has caught up`),
      ),
    ...learners.filter(alive).map((m) => step('promote', m, `etcd on ${nameOf(world, m.hostId)} is to vote`)),
    ...target
      .filter((hostId) => learners.length === 0 && !members.some((m) => m.hostId === hostId))
      .map((hostId) => addition(world, service, hostId)),
    ...leaving.filter((m) => m.voting && alive(m)).map(leave),
  ];
}

function addition(world: World, service: PlannerService, hostId: string): EtcdMemberStep {
  const name = nameOf(world, hostId);
  const reason = `${service.name} is wanted ${service.scale} times, and ${name} was chosen`;
  return { kind: 'add', memberId: memberId(world.input, hostId, world.now), hostId, reason };
}

function step(kind: 'promote' | 'remove', { id, hostId }: PlannerMember, reason: string): EtcdMemberStep {
  return { kind, memberId: id, hostId, reason };
}

/** What on a host still stands on its member, in words, or null. */
function neededThere(world: World, etcd: PlannerService, hostId: string): string | null {
  for (const service of world.services.filter((s) => s.after.includes(etcd.name))) {
    const planned = world.planned.get(place(service.name, hostId));
    const elsewhere = world.placement.get(service.name)?.hosts.includes(hostId);
    const stale = planned !== undefined && (!elsewhere || isStale(world, planned));
    const runs = [...world.observed.values()].some(
      (o) =>
        o.service === service.name && o.hostId === hostId && o.id !== planned?.id && o.state !== 'exited',
    );
    if (stale || runs) return `${service.name} on ${nameOf(world, hostId)} still uses it`;
  }
  return null;
}

function isAlive(world: World, service: PlannerService, hostId: string): boolean {
  const instance = world.planned.get(place(service.name, hostId));
  return instance !== undefined && isHealthy(world, instance);
}

/** In words why quorum forbids this step now, or null. Every step but the restart of the dead wants the others healthy. */
export function refused(world: World, step: Step): string | null {
  const view = quorumView(world);
  const own = view.find((m) => m.id === step.id);
  const joins = step.kind === 'add' || step.kind === 'promote';
  const mends = !joins && own?.healthy !== true;
  if (!mends && world.members.some(isEtcdCallPending)) return 'its members are being changed';
  if (!mends && !view.every((m) => m.healthy || m.id === step.id)) return 'another member is not healthy';
  const simulated = allows(view, step);
  return simulated.allowed ? null : simulated.why;
}

/** The members that vote, by their hosts. */
export function quorumView(world: World): Member[] {
  const etcd = world.services.find((s) => s.placement === 'etcd');
  return world.members
    .filter((m) => m.voting)
    .map((m) => ({ id: m.hostId, healthy: etcd !== undefined && isAlive(world, etcd, m.hostId) }));
}

function quorumStep({ kind, hostId }: EtcdMemberStep): Step {
  return { kind: kind === 'found' ? 'add' : kind, id: hostId };
}

export function stepOf(change: Change): Step {
  return { kind: change.kind === 'replace' ? 'restart' : 'remove', id: change.hostId };
}

/** Why a member's process is not started or mended now: its host is lost. */
export function mayStart(world: World, { hostId }: PlannerMember): boolean {
  const host = world.hostById.get(hostId);
  return isConnected(host) && host?.factsKnown === true;
}
