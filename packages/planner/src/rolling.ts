import { type Change, isHeldBack, type Verdict } from './changes.ts';
import { diagnose } from './diagnosis.ts';
import { refused, stepOf } from './members.ts';
import type { PlannerService } from './types.ts';
import { waitFor } from './waits.ts';
import { isConnected, nameOf, place, type World } from './world.ts';

interface Stale {
  service: PlannerService;
  hostId: string;
}

/**
 * A changed spec is rolled out one instance at a time, in start order: the next only when the service and everything
 * before it is healthy. What comes later does not hold it back, for a new spec may be just what mends that.
 */
export function rollingChange(world: World, taken: readonly Change[], etcdSteps: boolean): Verdict {
  const stale: Stale[] = [];
  let calm: string | null = null;
  let blockedAtFirst: string | null = null;
  for (const service of world.services) {
    for (const hostId of world.placement.get(service.name)?.hosts ?? []) {
      const instance = world.planned.get(place(service.name, hostId));
      // A place that waits for the others to be rolled cannot hold them back.
      if (instance === undefined && isHeldBack(world, service, hostId)) continue;
      const kind = instance === undefined ? 'settling' : diagnose(world, service, instance).kind;
      if (kind === 'stale') stale.push({ service, hostId });
      // A lost host can hold back no one but etcd; it gets its turn when it returns.
      else if (kind !== 'well' && kind !== 'unknown')
        calm ??= `${service.name} on ${nameOf(world, hostId)} is not healthy`;
    }
    if (stale.length > 0 && stale[0]!.service === service) blockedAtFirst = calm;
  }
  const [first] = stale;
  if (first === undefined) return { changes: [], waits: [] };
  const change = roll(world, first, stale.length);
  const isEtcd = first.service.placement === 'etcd';
  const etcdTaken = etcdSteps || taken.some((c) => c.service.placement === 'etcd');
  const refusal =
    blockedAtFirst ??
    (isEtcd && etcdTaken ? 'another step of etcd is taken first' : null) ??
    (isEtcd ? refused(world, stepOf(change)) : null) ??
    lingering(world, first.service, taken);
  if (refusal === null) {
    return {
      changes: [change],
      waits: stale.length > 1 ? [waitFor.rolling(world, stale.length - 1, null)] : [],
    };
  }
  return { changes: [], waits: [waitFor.rolling(world, stale.length, refusal)] };
}

/**
 * One that runs what was right for several must not meet one that takes itself for the only one. A host that cannot be seen
 * may stop its own in hours, or never: that holds back no one.
 */
function lingering(world: World, service: PlannerService, taken: readonly Change[]): string | null {
  if (service.scale === null) return null;
  const isSeen = (hostId: string) => isConnected(world.hostById.get(hostId));
  const leaves =
    taken.some((c) => c.kind === 'remove' && c.service.name === service.name && isSeen(c.hostId)) ||
    [...world.observed.values()].some(
      (o) =>
        o.service === service.name &&
        o.state === 'stopping' &&
        isSeen(o.hostId) &&
        !world.planned.has(place(o.service, o.hostId)),
    );
  return leaves ? `${service.name} is being stopped on another host` : null;
}

function roll(world: World, { service, hostId }: Stale, left: number): Change {
  const old = world.planned.get(place(service.name, hostId))!;
  const more = left === 1 ? '' : `; ${left - 1} more follow one by one`;
  const reason = `what ${service.name} on ${nameOf(world, hostId)} should run has changed${more}`;
  return { kind: 'replace', service, hostId, old, reason, notBefore: 0 };
}
