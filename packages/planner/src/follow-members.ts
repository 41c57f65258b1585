import { type Change, creation, leavingReason, removal } from './changes.ts';
import { mayStart } from './members.ts';
import type { PlannerService } from './types.ts';
import { place, type World } from './world.ts';

/** Processes of members that are new, and of those that etcd has let go. */
export function followMembers(world: World, service: PlannerService): Change[] {
  const known = new Set(world.members.map((m) => m.hostId));
  const gone = [...world.planned.values()].filter((i) => i.service === service.name && !known.has(i.hostId));
  const fresh = world.members.filter(
    (m) =>
      (m.state === 'learner' || m.state === 'voter') &&
      !world.planned.has(place(service.name, m.hostId)) &&
      mayStart(world, m),
  );
  return [
    ...gone.map((i) => removal(service, i, leavingReason(world, service, i.hostId))),
    ...fresh.map((m) => creation(world, service, m.hostId)),
  ];
}
