import {
  derivedId,
  type EtcdMemberStep,
  type FailureMemory,
  type Plan,
  type PlanAction,
  type PlannedInstance,
  type PlanWait,
} from '@rancher/domain';
import { forgetAfterMs } from './backoff.ts';
import { type Change, placeChanges, reloads, removal } from './changes.ts';
import { etcdChanges } from './etcd.ts';
import { movingChange } from './moving.ts';
import { rollingChange } from './rolling.ts';
import type { PlannerInput, PlannerResult, PlannerService } from './types.ts';
import { conditionsOf, hostWaits, waitFor } from './waits.ts';
import { isHealthy, place, type World, worldOf } from './world.ts';

/** What a removed environment held is wiped: nothing in it is worth a long goodbye. */
const removalGraceMs = 1_000;

/**
 * The plan that follows from intent and inventory, or null where the parent is still right, and what is waited for.
 * Pure: no IO, no clock, no random; the same input, in whatever order its lists are, gives the same result.
 *
 * A deactivated environment is frozen: its workloads and its system stack keep running (agents restart what exits),
 * and the plan does not change. A removed one gets an empty plan, everything stopped in reverse start order.
 */
export function makePlan(input: PlannerInput): PlannerResult {
  const world = worldOf(input);
  if (input.environment.desiredState === 'removed') return result(world, removals(world), []);
  const waits = hostWaits(world);
  if (input.environment.desiredState === 'inactive')
    return result(world, [], [waitFor.deactivated(world), ...waits]);
  const changes: Change[] = [];
  // What was decided of a place before stands, such as by a recovery of etcd.
  const add = (more: readonly Change[]) => {
    const taken = new Set(changes.map(placeOf));
    changes.push(...more.filter((c) => !taken.has(placeOf(c))));
  };
  const steps: EtcdMemberStep[] = [];
  for (const service of world.services) {
    const verdict = service.placement === 'etcd' ? etcdChanges(world, service) : placeChanges(world, service);
    add(verdict.changes);
    waits.push(...verdict.waits);
    steps.push(...(verdict.steps ?? []));
  }
  changes.push(...orphans(world));
  const rolling = rollingChange(world, changes, steps.length > 0);
  const rolls = rolling.changes.length + rolling.waits.length > 0;
  const moving = rolls ? { changes: [], waits: [] } : movingChange(world);
  add([...rolling.changes, ...moving.changes]);
  changes.push(...reloads(world, changes));
  return result(world, changes, [...waits, ...rolling.waits, ...moving.waits], steps);
}

function result(
  world: World,
  changes: Change[],
  waits: PlanWait[],
  memberSteps: EtcdMemberStep[] = [],
): PlannerResult {
  const plan = changes.length === 0 ? null : planOf(world, changes);
  const target = plan ?? world.input.parent;
  const held = (target?.instances ?? []).filter((i) => i.notBefore > world.now);
  const all = [
    ...waits,
    ...held.map((i) => waitFor.backoff({ ...world, input: { ...world.input, parent: target } }, i)),
  ];
  return {
    plan,
    memberSteps,
    waits: all,
    conditions: conditionsOf(all),
    nextLookAt: all.length === 0 ? null : Math.min(...all.map((w) => w.nextLookAt)),
  };
}

const placeOf = (change: Change) => place(change.service.name, change.hostId);

/** Instances of services that the system stack no longer has. */
function orphans(world: World): Change[] {
  const known = new Set(world.services.map((s) => s.name));
  return [...world.planned.values()]
    .filter((i) => !known.has(i.service))
    .map((i) => removal(formerService(i), i, `${i.service} is no longer part of the system stack`));
}

function removals(world: World): Change[] {
  const byName = new Map(world.services.map((s) => [s.name, s]));
  return [...world.planned.values()].map((i) => ({
    ...removal(byName.get(i.service) ?? formerService(i), i, 'the environment is removed'),
    graceMs: removalGraceMs,
  }));
}

function formerService(instance: PlannedInstance): PlannerService {
  return { id: instance.serviceId, name: instance.service, placement: 'all', scale: null, after: [] };
}

/** Carries the changes out on the parent's instances, and gives everything its id. */
function planOf(world: World, unordered: Change[]): Plan {
  const { input } = world;
  const changes = inOrder(world, unordered);
  const generation = (input.parent?.generation ?? 0) + 1;
  const id = derivedId('plan', input.environment.id, generation, input.parent?.id ?? '', input.now);
  const instances = new Map(world.planned);
  const actions: PlanAction[] = [];
  for (const change of changes) {
    const key = place(change.service.name, change.hostId);
    const keeps = change.kind === 'remove' || change.kind === 'reload';
    const instanceId = keeps ? change.old!.id : derivedId('instance', id, key);
    actions.push(actionOf(change, instanceId));
    if (change.kind === 'remove') instances.delete(key);
    else if (change.kind === 'reload') instances.set(key, { ...change.old!, ...hashesOf(world, change) });
    else instances.set(key, instanceOf(world, change, instanceId));
  }
  return {
    id,
    environmentId: input.environment.id,
    generation,
    parentId: input.parent?.id ?? null,
    instances: linked(world, instances),
    actions,
    failures: failuresOf(world, changes, instances),
    createdAt: new Date(input.now).toISOString(),
  };
}

function actionOf(change: Change, instanceId: string): PlanAction {
  return {
    kind: change.kind,
    service: change.service.name,
    hostId: change.hostId,
    instanceId,
    ...(change.kind === 'replace' ? { replaces: change.old!.id } : {}),
    ...(change.graceMs === undefined ? {} : { graceMs: change.graceMs }),
    reason: change.reason,
  };
}

function instanceOf(world: World, change: Change, id: string): PlannedInstance {
  const { service, hostId, notBefore } = change;
  const hashes = hashesOf(world, change);
  const member = service.placement === 'etcd' ? world.members.find((m) => m.hostId === hostId) : undefined;
  return {
    id,
    serviceId: service.id,
    service: service.name,
    hostId,
    ...hashes,
    ...(member === undefined ? {} : { memberId: member.id }),
    after: [],
    notBefore,
  };
}

function hashesOf({ input }: World, { service, hostId }: Change) {
  const specHash = input.specHash(service.name, hostId);
  const startHash = input.startHash?.(service.name, hostId) ?? specHash;
  return { specHash, ...(startHash === specHash ? {} : { startHash }) };
}

/** Sorted by start order and host, with `after` pointing at the present instances of the same host. */
function linked(world: World, instances: ReadonlyMap<string, PlannedInstance>): PlannedInstance[] {
  return world.services.flatMap((service) =>
    hostOrder(
      world,
      [...instances.values()].filter((i) => i.service === service.name),
    ).map((instance) => ({
      ...instance,
      after: service.after.flatMap((name) => instances.get(place(name, instance.hostId))?.id ?? []),
    })),
  );
}

/** Removals first, last started first; then the rest in start order. Each by host. */
function inOrder(world: World, changes: Change[]): Change[] {
  const start = new Map(world.services.map((s, i) => [s.name, i]));
  const rank = (c: Change) => start.get(c.service.name) ?? world.services.length;
  const sorted = hostOrder(world, changes).sort((a, b) => rank(a) - rank(b));
  const removed = hostOrder(
    world,
    changes.filter((c) => c.kind === 'remove'),
  ).sort((a, b) => rank(b) - rank(a));
  return [...removed, ...sorted.filter((c) => c.kind !== 'remove')];
}

function hostOrder<T extends { hostId: string }>(world: World, items: T[]): T[] {
  const order = new Map(world.hosts.map((h, i) => [h.id, i]));
  const rank = (t: T) => order.get(t.hostId) ?? world.hosts.length;
  return [...items].sort(
    (a, b) => rank(a) - rank(b) || (a.hostId < b.hostId ? -1 : a.hostId > b.hostId ? 1 : 0),
  );
}

function failuresOf(
  world: World,
  changes: Change[],
  instances: ReadonlyMap<string, PlannedInstance>,
): Record<string, FailureMemory> {
  const failed = new Map(changes.map((c) => [place(c.service.name, c.hostId), c.failure]));
  const failures: Record<string, FailureMemory> = {};
  for (const key of [...new Set([...instances.keys(), ...leftPlaces(world)])].sort()) {
    const memory = failed.get(key) ?? kept(world, key);
    if (memory !== undefined) failures[key] = memory;
  }
  return failures;
}

/** Places where something failed and runs no more: they are remembered for a while, so that it does not go back there. */
function leftPlaces(world: World): string[] {
  const known = new Set(world.services.flatMap((s) => world.hosts.map((h) => place(s.name, h.id))));
  return Object.entries(world.input.parent?.failures ?? {})
    .filter(([key, memory]) => known.has(key) && world.now - memory.lastAt < world.options.badPlaceMs)
    .map(([key]) => key);
}

/** The parent's memory of a place, unless its instance has been healthy for long enough since. */
function kept(world: World, key: string): FailureMemory | undefined {
  const memory = world.input.parent?.failures[key];
  const instance = world.planned.get(key);
  if (memory === undefined || instance === undefined) return memory;
  const since = world.observed.get(instance.id)?.healthyMs ?? world.now;
  return isHealthy(world, instance) && world.now - since >= forgetAfterMs ? undefined : memory;
}
