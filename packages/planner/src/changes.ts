import type { EtcdMemberStep, FailureMemory, PlannedInstance, PlanWait } from '@rancher/domain';
import { backoffMs, remembered } from './backoff.ts';
import { type Diagnosis, diagnose, isStale } from './diagnosis.ts';
import type { PlannerService } from './types.ts';
import { waitFor } from './waits.ts';
import { isConnected, nameOf, place, type World } from './world.ts';

/** A step against the parent, before it has ids. */
export interface Change {
  kind: 'create' | 'replace' | 'reload' | 'remove';
  service: PlannerService;
  hostId: string;
  /** What runs there now; undefined for a creation. */
  old?: PlannedInstance;
  reason: string;
  graceMs?: number;
  notBefore: number;
  failure?: FailureMemory;
}

/** Changes that rules of one kind want, and what they wait for. */
export interface Verdict {
  changes: Change[];
  waits: PlanWait[];
  /** Of etcd's membership. */
  steps?: EtcdMemberStep[];
}

/** The changes of services other than etcd, apart from rolling updates: each place is judged by itself. */
export function placeChanges(world: World, service: PlannerService): Verdict {
  const verdict: Verdict = { changes: [], waits: [] };
  const target = world.placement.get(service.name)?.hosts ?? [];
  for (const hostId of target) {
    const old = world.planned.get(place(service.name, hostId));
    if (old === undefined) {
      if (!isHeldBack(world, service, hostId)) verdict.changes.push(creation(world, service, hostId));
      continue;
    }
    const diagnosis = diagnose(world, service, old);
    const change = replacement(world, service, old, diagnosis);
    if (change !== null) verdict.changes.push(change);
    if (diagnosis.kind === 'hindered') verdict.waits.push(waitFor.dependency(world, old, diagnosis));
  }
  const own = [...world.planned.values()].filter((i) => i.service === service.name);
  const runsOn =
    own.some((i) => target.includes(i.hostId)) || verdict.changes.some((c) => c.kind === 'create');
  const isRemoved = (hostId: string) => world.hostById.get(hostId)?.desiredState === 'removed';
  for (const old of own.filter((i) => !target.includes(i.hostId))) {
    // While all that takes its place is held back, the last one is not given up, but for a host that is to be gone.
    if (target.length > 0 && !runsOn && !isRemoved(old.hostId)) continue;
    verdict.changes.push(removal(service, old, leavingReason(world, service, old.hostId)));
  }
  return verdict;
}

/**
 * Whether a place gets its instance later: what needs etcd where its member does not vote yet, as a learner serves
 * nobody; what follows one that is held back there; and one more of a service of scale n before the others run what they should now, as one that was alone
 * may not know yet that leaders are elected.
 */
export function isHeldBack(world: World, service: PlannerService, hostId: string): boolean {
  const etcd = world.services.find((s) => s.placement === 'etcd' && service.after.includes(s.name));
  const joins = etcd !== undefined && world.placement.get(etcd.name)?.hosts.includes(hostId);
  if (joins && !world.members.some((m) => m.hostId === hostId && m.voting)) return true;
  if (service.scale === null) return false;
  const first = world.services.filter((s) => s.scale !== null && service.after.includes(s.name));
  const waits = first.some(
    (s) =>
      s !== etcd &&
      !world.planned.has(place(s.name, hostId)) &&
      world.placement.get(s.name)?.hosts.includes(hostId) &&
      isHeldBack(world, s, hostId),
  );
  if (waits) return true;
  return [...world.planned.values()].some(
    (i) => i.service === service.name && diagnose(world, service, i).kind === 'stale',
  );
}

export function creation(world: World, service: PlannerService, hostId: string): Change {
  const name = nameOf(world, hostId);
  const because = world.placement.get(service.name)?.because[hostId];
  const choice =
    service.scale === null
      ? `${service.name} runs on every host, and ${name} has none yet`
      : `${service.name} is wanted ${service.scale} ${service.scale === 1 ? 'time' : 'times'}, and ${name} was chosen`;
  const reason = because === undefined ? choice : `${choice}: ${because}`;
  const memory = world.input.parent?.failures[place(service.name, hostId)];
  // A place that failed and lost its instance is not a fresh one: the backoff goes on.
  const notBefore = memory === undefined ? 0 : memory.lastAt + backoffMs(memory.count);
  return { kind: 'create', service, hostId, reason, notBefore: notBefore > world.now ? notBefore : 0 };
}

/** The new instance for one that failed, or that waits to be started with an old spec; null where neither is so. */
export function replacement(
  world: World,
  service: PlannerService,
  old: PlannedInstance,
  diagnosis: Diagnosis,
): Change | null {
  const at = { kind: 'replace', service, hostId: old.hostId, old } as const;
  if (diagnosis.kind === 'unstarted') {
    const reason = `what ${service.name} on ${nameOf(world, old.hostId)} should run has changed before it was started`;
    return { ...at, reason, notBefore: old.notBefore };
  }
  if (diagnosis.kind !== 'failed') return null;
  const changed = isStale(world, old);
  // Another spec deserves its own first try.
  const before = changed ? undefined : world.input.parent?.failures[place(service.name, old.hostId)];
  const failure = remembered(before, {
    at: world.now,
    reason: diagnosis.reason,
    healthyForMs: diagnosis.healthyForMs,
  });
  const delay = backoffMs(failure.count);
  const held =
    delay === 0 ? '' : `; failure ${failure.count} in a row, so it is started again after ${delay / 1000} s`;
  return {
    ...at,
    reason: `${diagnosis.reason}${held}`,
    // It does not answer, or is gone already: there is nothing to be gentle with.
    graceMs: 0,
    notBefore: delay === 0 ? 0 : world.now + delay,
    failure,
  };
}

/** Instances that run on, and take up what may change while they do: at once on every host, as it interrupts nothing. */
export function reloads(world: World, taken: readonly Change[]): Change[] {
  const touched = new Set(taken.map((c) => c.old?.id));
  return world.services.flatMap((service) =>
    [...world.planned.values()]
      .filter((i) => i.service === service.name && !touched.has(i.id))
      .filter((i) => isConnected(world.hostById.get(i.hostId)) && !isStale(world, i))
      .filter((i) => world.input.specHash(service.name, i.hostId) !== i.specHash)
      .map((old) => {
        const reason = `what ${service.name} on ${nameOf(world, old.hostId)} works with has changed`;
        return { kind: 'reload', service, hostId: old.hostId, old, reason, notBefore: 0 } as const;
      }),
  );
}

export function removal(service: PlannerService, old: PlannedInstance, reason: string): Change {
  return { kind: 'remove', service, hostId: old.hostId, old, reason, notBefore: 0 };
}

export function leavingReason(world: World, service: PlannerService, hostId: string): string {
  const host = world.hostById.get(hostId);
  if (host === undefined || host.desiredState === 'removed' || host.state === 'removed') {
    return `${nameOf(world, hostId)} is removed`;
  }
  if (host.evacuated === true) {
    const words = `${host.name} is evacuated`;
    return service.scale === null ? words : `${words}, and ${service.name} runs elsewhere now`;
  }
  if (host.state === 'disconnected') return `${host.name} is lost, and ${service.name} runs elsewhere now`;
  const placement = world.placement.get(service.name);
  const why = placement?.refused[hostId] ?? placement?.left;
  const words = `${service.name} no longer belongs on ${host.name}`;
  return why === undefined ? words : `${words}: ${why}`;
}
