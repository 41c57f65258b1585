import { byName } from '../order.ts';
import type { PlannerHost, PlannerInput, PlannerService, ServicePlacement } from '../types.ts';
import { givenUpHosts } from './given-up.ts';

export type PlacementInput = Pick<
  PlannerInput,
  'now' | 'environment' | 'services' | 'hosts' | 'parent' | 'observed' | 'options'
>;

/** Where one service should run. */
export interface Placement {
  /** Ids of the hosts that should run it, by host name. */
  hosts: string[];
  /** Hosts that should, and cannot yet: not registered, or lost. */
  awaited: string[];
  /** Of `scale`, how many have no host at all. */
  missing: number;
}

/** What is looked at while services are placed one after the other. */
export interface Scene {
  input: PlacementInput;
  /** By name. */
  hosts: PlannerHost[];
  /** Hosts lost for so long that what can move from them moves. Empty while the brake is on or etcd has no quorum. */
  givenUp: Set<string>;
  /** Hosts of the services placed so far, for keeping a plane together. */
  chosen: Map<ServicePlacement, Set<string>>;
}

export function sceneOf(input: PlacementInput): Scene {
  return {
    input,
    hosts: [...input.hosts].sort(byName),
    givenUp: givenUpHosts(input),
    chosen: new Map(),
  };
}

/** Hosts that have it by the parent plan, and are to stay with us. */
export function currentHosts(scene: Scene, service: PlannerService): PlannerHost[] {
  const ids = new Set(
    scene.input.parent?.instances.filter((i) => i.service === service.name).map((i) => i.hostId),
  );
  return scene.hosts.filter((h) => ids.has(h.id) && isWanted(h));
}

/** It belongs to the environment, and is not being removed. */
export function isWanted(host: PlannerHost): boolean {
  return host.desiredState === 'active' && host.state !== 'removing' && host.state !== 'removed';
}

/** Something can be started there now: its agent answers, and has told its facts. */
export function isUsable(host: PlannerHost): boolean {
  return host.state === 'active' && host.factsKnown;
}

export const idsOf = (hosts: readonly PlannerHost[]) => [...hosts].sort(byName).map((h) => h.id);
