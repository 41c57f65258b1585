import type { PlannedInstance } from '@rancher/domain';
import { type Brake, brakeOf } from './brake.ts';
import { byName, compare, startOrder } from './order.ts';
import { place } from './place.ts';
import { membersOf, type Placement, placeServices } from './placement/index.ts';
import {
  type PlannerHost,
  type PlannerInput,
  type PlannerInstance,
  type PlannerMember,
  type PlannerOptions,
  type PlannerService,
  plannerDefaults,
} from './types.ts';

/** The input, put in order and indexed, so that the rules read as rules. */
export interface World {
  input: PlannerInput;
  now: number;
  options: PlannerOptions;
  /** In start order. */
  services: PlannerService[];
  /** By name. */
  hosts: PlannerHost[];
  hostById: ReadonlyMap<string, PlannerHost>;
  brake: Brake;
  /** Where each service should run, by its name. */
  placement: ReadonlyMap<string, Placement>;
  /** The parent's instances by `<service>/<hostId>`. */
  planned: ReadonlyMap<string, PlannedInstance>;
  observed: ReadonlyMap<string, PlannerInstance>;
  /** By host name; in an environment that has none yet, the first ones, which are recorded with this plan. */
  members: PlannerMember[];
}

export { place } from './place.ts';

export function worldOf(input: PlannerInput): World {
  const options = { ...plannerDefaults, ...input.options };
  const hosts = [...input.hosts].sort(byName);
  const placement = placeServices(input);
  const rank = new Map(hosts.map((h, i) => [h.id, i]));
  const order = (m: PlannerMember) => rank.get(m.hostId) ?? hosts.length;
  return {
    input,
    now: input.now,
    options,
    services: startOrder(input.services),
    hosts,
    hostById: new Map(hosts.map((h) => [h.id, h])),
    brake: brakeOf(hosts, options),
    placement,
    planned: new Map((input.parent?.instances ?? []).map((i) => [place(i.service, i.hostId), i])),
    observed: new Map(input.observed.map((o) => [o.id, o])),
    members: membersOf(input, placement).sort((a, b) => order(a) - order(b) || compare(a.id, b.id)),
  };
}

/** The host is heard of, so what its agent told of its instances is what is. */
export function isConnected(host: PlannerHost | undefined): boolean {
  return host?.state === 'active';
}

export function nameOf(world: World, hostId: string): string {
  return world.hostById.get(hostId)?.name ?? hostId;
}

export function isHealthy(world: World, instance: PlannedInstance): boolean {
  const seen = world.observed.get(instance.id);
  return (
    isConnected(world.hostById.get(instance.hostId)) && seen?.state === 'running' && seen.health === 'healthy'
  );
}
