import { isEtcdCallPending, type PlannedInstance } from '@rancher/domain';
import { type Change, replacement, type Verdict } from './changes.ts';
import { type Diagnosis, diagnose } from './diagnosis.ts';
import { followMembers } from './follow-members.ts';
import { foundingSteps, nextMemberStep, quorumView, refused, stepOf } from './members.ts';
import { hasQuorum } from './quorum.ts';
import { isRecovering, recoveryChanges } from './recovery.ts';
import type { PlannerMember, PlannerService } from './types.ts';
import { waitFor } from './waits.ts';
import { listWords } from './words.ts';
import { nameOf, place, type World } from './world.ts';

interface Judged {
  member: PlannerMember;
  old: PlannedInstance;
  diagnosis: Diagnosis;
}

/**
 * etcd's changes. The first members are made together; from then on there is one step at a time, and only one that the
 * simulation says keeps quorum. A process is started for a member once etcd knows the member, and taken away once etcd
 * does not any more. Once quorum is lost there is nothing left to protect but the data: every dead process is started
 * again on it at once, for none of them alone could become healthy.
 */
export function etcdChanges(world: World, service: PlannerService): Verdict {
  if (world.members.length === 0) {
    const lost = world.input.environment.bootstrapped;
    const message = 'etcd has no member left; recover it from a snapshot';
    return { changes: [], waits: lost ? [waitFor.etcd(world, 'EtcdLost', message)] : [] };
  }
  if (isRecovering(world, service)) return recoveryChanges(world, service);
  const steps = foundingSteps(world);
  const follow = followMembers(world, service);
  if (steps.length > 0 || follow.length > 0) return { changes: follow, waits: [], steps };
  const judged = world.members.flatMap((member): Judged[] => {
    const old = world.planned.get(place(service.name, member.hostId));
    return old === undefined || member.state === 'removing'
      ? []
      : [{ member, old, diagnosis: diagnose(world, service, old) }];
  });
  if (!hasQuorum(quorumView(world))) return withoutQuorum(world, service, judged);
  return withQuorum(world, service, judged);
}

function withQuorum(world: World, service: PlannerService, judged: readonly Judged[]): Verdict {
  const target = world.placement.get(service.name)?.hosts ?? [];
  const staying = judged.filter(({ old }) => target.includes(old.hostId));
  const settling = staying.some((j) => isSettling(world, j));
  const { dead, frozen } = restarts(world, service, staying);
  const [first] = [...dead, ...frozen];
  if (first !== undefined) {
    const refusal = settling ? unsettled : refused(world, stepOf(first));
    if (refusal === null) return { changes: [first], waits: [] };
    return { changes: [], waits: [blocked(world, first.hostId, first.reason, refusal)] };
  }
  const calls = world.members.filter(isEtcdCallPending);
  if (calls.length > 0) return { changes: [], waits: calls.map((m) => callWait(world, m)) };
  const next = nextMemberStep(world, service);
  if (next === null) return { changes: [], waits: [] };
  const refusal = settling ? unsettled : next.refusal;
  if (refusal === null) return { changes: [], waits: [], steps: [next.step] };
  return { changes: [], waits: [blocked(world, next.step.hostId, next.step.reason, refusal)] };
}

const unsettled = 'a member that was started is not healthy yet';

function withoutQuorum(world: World, service: PlannerService, judged: readonly Judged[]): Verdict {
  const { dead, frozen } = restarts(world, service, judged);
  const settling = judged.filter((j) => isSettling(world, j));
  const changes = dead.length > 0 ? dead : settling.length > 0 ? [] : frozen.slice(0, 1);
  // Those that have only just been started may be all that it lacks.
  const soon = quorumView(world).map((m) => ({
    ...m,
    healthy: m.healthy || settling.some((j) => j.old.hostId === m.id),
  }));
  if (changes.length === 0 && hasQuorum(soon)) return { changes, waits: [] };
  return { changes, waits: lostQuorumWaits(world, service, changes) };
}

/** New processes for those that ended, and for those that only do not answer. */
function restarts(world: World, service: PlannerService, judged: readonly Judged[]) {
  const all = judged.flatMap(({ old, diagnosis }) => {
    const change = replacement(world, service, old, diagnosis);
    return change === null ? [] : [{ change, dead: diagnosis.kind !== 'failed' || diagnosis.exited }];
  });
  return {
    dead: all.filter((r) => r.dead).map((r) => r.change),
    frozen: all.filter((r) => !r.dead).map((r) => r.change),
  };
}

function lostQuorumWaits(world: World, service: PlannerService, changes: Change[]) {
  const target = world.placement.get(service.name)?.hosts ?? [];
  const leaving = world.members.find((m) => !target.includes(m.hostId));
  const beginning = leaving === undefined && !world.input.environment.bootstrapped;
  // Told once, it stays until most answer again: those that are started now may fail like those before.
  const told = world.input.conditions?.some((c) => c.status === 'True' && c.reason === 'EtcdQuorumLost');
  if (beginning || (changes.length > 0 && told !== true)) return [];
  const voters = quorumView(world);
  const names = (healthy: boolean) =>
    listWords(voters.filter((m) => m.healthy === healthy).map((m) => nameOf(world, m.id)));
  const healthy = voters.filter((m) => m.healthy).length;
  const kept = leaving === undefined ? '' : `; ${nameOf(world, leaving.hostId)} keeps its member until then`;
  const there = healthy === 0 ? '' : ` (${names(true)})`;
  const message = `etcd has lost quorum: ${healthy} of ${voters.length} members answer${there}. Nothing can be written until more do; what only ${names(false)} hold is lost with their data${kept}`;
  return [waitFor.etcd(world, 'EtcdQuorumLost', message)];
}

function blocked(world: World, hostId: string, reason: string, refusal: string) {
  const message = `etcd on ${nameOf(world, hostId)} must wait (${reason}): ${refusal}`;
  return waitFor.etcd(world, 'EtcdStepBlocked', message);
}

const callWords = {
  adding: 'is being added to etcd as a learner',
  promoting: 'is to vote once it has caught up',
  removing: 'is being removed from etcd',
} as const;

function callWait(world: World, { hostId, state, lastError }: PlannerMember) {
  const words = callWords[state as keyof typeof callWords];
  return waitFor.etcd(
    world,
    'EtcdMemberChange',
    `The member on ${nameOf(world, hostId)} ${words}`,
    lastError,
  );
}

/** A member that fails again and again no longer counts as settling, or it would hold back the mending of another. */
function isSettling(world: World, { old, diagnosis }: Judged): boolean {
  const failures = world.input.parent?.failures[place(old.service, old.hostId)]?.count ?? 0;
  return diagnosis.kind === 'settling' && failures < 3;
}
