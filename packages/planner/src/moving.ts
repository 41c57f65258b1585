import { type Change, leavingReason, removal, type Verdict } from './changes.ts';
import { diagnose } from './diagnosis.ts';
import type { PlannerService } from './types.ts';
import { waitFor } from './waits.ts';
import { isHealthy, nameOf, place, type World } from './world.ts';

/**
 * What runs against a hard rule goes, one instance at a time: of a service of scale n once all that takes its place is
 * healthy, and only while everything else is well and knows of it (no roll is under way).
 */
export function movingChange(world: World): Verdict {
  const moves = world.services.flatMap((service) =>
    (world.placement.get(service.name)?.leaving ?? []).map((hostId) => ({ service, hostId })),
  );
  if (moves.length === 0) return { changes: [], waits: [] };
  for (const { service, hostId } of moves) {
    if (held(world, service, hostId) !== null) continue;
    const old = world.planned.get(place(service.name, hostId))!;
    const left = moves.length - 1;
    const more = left === 0 ? '' : left === 1 ? '; 1 more follows' : `; ${left} more follow one by one`;
    const change: Change = removal(service, old, `${leavingReason(world, service, hostId)}${more}`);
    return {
      changes: [change],
      waits: moves.length === 1 ? [] : [waitFor.moving(world, moves.length - 1, null)],
    };
  }
  const [first] = moves;
  const why = held(world, first!.service, first!.hostId);
  const where = `${first!.service.name} on ${nameOf(world, first!.hostId)}`;
  return { changes: [], waits: [waitFor.moving(world, moves.length, `${where} stays until ${why}`)] };
}

/** What an instance that is to go still waits for, in words, or null. */
function held(world: World, service: PlannerService, leavingHost: string): string | null {
  const { hosts, leaving } = world.placement.get(service.name)!;
  const successors = service.scale === null ? [] : hosts.filter((id) => !leaving.includes(id));
  for (const hostId of successors) {
    const next = world.planned.get(place(service.name, hostId));
    if (next === undefined || !isHealthy(world, next))
      return `${service.name} on ${nameOf(world, hostId)} is healthy`;
  }
  return unrest(world, service, leavingHost);
}

/** As with a roll, what comes later in the start order does not hold it back. */
function unrest(world: World, service: PlannerService, leavingHost: string): string | null {
  for (const before of world.services) {
    for (const instance of world.planned.values()) {
      if (instance.service !== before.name) continue;
      if (before === service && instance.hostId === leavingHost) continue;
      const { kind } = diagnose(world, before, instance);
      if (kind !== 'well' && kind !== 'unknown')
        return `${before.name} on ${nameOf(world, instance.hostId)} is healthy`;
    }
    if (before === service) break;
  }
  return null;
}
