import type { PlannedInstance } from '@rancher/domain';
import { type Change, creation, leavingReason, removal, replacement, type Verdict } from './changes.ts';
import { type Diagnosis, diagnose } from './diagnosis.ts';
import { allows, hasQuorum, type Member, type Step } from './quorum.ts';
import type { PlannerService } from './types.ts';
import { waitFor } from './waits.ts';
import { isHealthy, nameOf, place, type World } from './world.ts';

/**
 * etcd's changes. The first members are made together; from then on there is one step at a time, and only one that the
 * simulation says keeps quorum. Once quorum is lost there is nothing left to protect but the data: every dead process is
 * started again on it at once, for none of them alone could become healthy.
 */
export function etcdChanges(world: World, service: PlannerService): Verdict {
  const members = membersOf(world, service);
  const target = world.placement.get(service.name)?.hosts ?? [];
  if (members.length === 0) {
    const lost = world.input.environment.bootstrapped;
    return {
      changes: target.map((hostId) => creation(world, service, hostId)),
      waits: lost
        ? [waitFor.etcd(world, 'EtcdLost', 'etcd has no member left; recover it from a snapshot')]
        : [],
    };
  }
  const judged = members.map((old) => ({ old, diagnosis: diagnose(world, service, old) }));
  const staying = judged.filter(({ old }) => target.includes(old.hostId));
  const restarts = staying.flatMap(({ old, diagnosis }) => {
    const change = replacement(world, service, old, diagnosis);
    return change === null ? [] : [{ change, dead: diagnosis.kind !== 'failed' || diagnosis.exited }];
  });
  const settling = staying.some(({ old, diagnosis }) => isSettling(world, old, diagnosis));
  const dead = restarts.filter((r) => r.dead).map((r) => r.change);
  const frozen = restarts.filter((r) => !r.dead).map((r) => r.change);
  if (!hasQuorum(quorumView(world, members))) {
    const changes = dead.length > 0 ? dead : settling ? [] : frozen.slice(0, 1);
    return { changes, waits: lostQuorumWaits(world, members, changes, target) };
  }
  const leaving = members.filter((m) => !target.includes(m.hostId));
  const first = firstStep(world, service, [...dead, ...frozen], leaving, target);
  if (first === null) return { changes: [], waits: [] };
  const refusal = settling ? 'a member that was started is not healthy yet' : refused(world, service, first);
  if (refusal === null) return { changes: [first], waits: [] };
  const message = `etcd on ${nameOf(world, first.hostId)} must wait (${first.reason}): ${refusal}`;
  return { changes: [], waits: [waitFor.etcd(world, 'EtcdStepBlocked', message)] };
}

/** In words why quorum forbids this step now, or null. Every step but the restart of the dead wants the others healthy. */
export function refused(world: World, service: PlannerService, change: Change): string | null {
  const view = quorumView(world, membersOf(world, service));
  const step = stepOf(change);
  const own = view.find((m) => m.id === step.id);
  const mends = step.kind !== 'add' && own?.healthy === false;
  if (!mends && !view.every((m) => m.healthy || m.id === step.id)) return 'another member is not healthy';
  const simulated = allows(view, step);
  return simulated.allowed ? null : simulated.why;
}

function firstStep(
  world: World,
  service: PlannerService,
  restarts: Change[],
  leaving: PlannedInstance[],
  target: string[],
): Change | null {
  const leave = (m: PlannedInstance) => removal(service, m, leavingReason(world, service, m.hostId));
  // The dead go before a new one comes; a healthy one goes only after that.
  const deadLeaving = leaving.filter((m) => !isHealthy(world, m)).map(leave);
  const joining = target
    .filter((hostId) => !world.planned.has(place(service.name, hostId)))
    .map((hostId) => creation(world, service, hostId));
  const healthyLeaving = leaving.filter((m) => isHealthy(world, m)).map(leave);
  return [...restarts, ...deadLeaving, ...joining, ...healthyLeaving][0] ?? null;
}

function lostQuorumWaits(world: World, members: PlannedInstance[], changes: Change[], target: string[]) {
  const leaving = members.find((m) => !target.includes(m.hostId));
  const settlingFirst =
    members.every((m) => target.includes(m.hostId)) && !world.input.environment.bootstrapped;
  if (changes.length > 0 || settlingFirst) return [];
  const healthy = members.filter((m) => isHealthy(world, m)).length;
  const kept = leaving === undefined ? '' : `; ${nameOf(world, leaving.hostId)} keeps its member until then`;
  return [
    waitFor.etcd(world, 'EtcdQuorumLost', `${healthy} of ${members.length} etcd members answer${kept}`),
  ];
}

/** A member that fails again and again no longer counts as settling, or it would hold back the mending of another. */
function isSettling(world: World, old: PlannedInstance, diagnosis: Diagnosis): boolean {
  const failures = world.input.parent?.failures[place(old.service, old.hostId)]?.count ?? 0;
  return diagnosis.kind === 'settling' && failures < 3;
}

function membersOf(world: World, service: PlannerService): PlannedInstance[] {
  const hostOrder = new Map(world.hosts.map((h, i) => [h.id, i]));
  const order = (m: PlannedInstance) => hostOrder.get(m.hostId) ?? world.hosts.length;
  return [...world.planned.values()]
    .filter((i) => i.service === service.name)
    .sort((a, b) => order(a) - order(b) || (a.id < b.id ? -1 : 1));
}

function quorumView(world: World, members: PlannedInstance[]): Member[] {
  return members.map((m) => ({ id: m.id, healthy: isHealthy(world, m) }));
}

function stepOf(change: Change): Step {
  if (change.kind === 'create') return { kind: 'add', id: change.hostId };
  return { kind: change.kind === 'replace' ? 'restart' : 'remove', id: change.old!.id };
}
