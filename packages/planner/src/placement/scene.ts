import type { Affinity } from '@rancher/domain';
import { byName, startOrder } from '../order.ts';
import {
  type PlannerHost,
  type PlannerInput,
  type PlannerOptions,
  type PlannerService,
  plannerDefaults,
} from '../types.ts';
import { type GivesUp, givesUpOf } from './given-up.ts';
import { planeRules } from './planes.ts';

export type PlacementInput = Pick<
  PlannerInput,
  'now' | 'environment' | 'services' | 'hosts' | 'parent' | 'members' | 'observed' | 'options'
>;

/** Where one service should run. */
export interface Placement {
  /** Ids of the hosts that should run it, by host name; those that it is leaving among them. */
  hosts: string[];
  /** Of `hosts`: it runs there against a hard rule, and goes once what takes its place is healthy. */
  leaving: string[];
  /** Hosts that should, and cannot yet: not registered, or lost. */
  awaited: string[];
  /** Of `scale`, how many have no host at all. */
  missing: number;
  /** Why each host was chosen, in words, where there is more to say than that it is one of them. By host id. */
  because: Record<string, string>;
  /** What keeps it from each host that it may not be on, in words. By host id. */
  refused: Record<string, string>;
  /** Why it gives up a host that no rule forbids, in words: it failed there again and again. */
  left?: string;
}

/** What is looked at while services are placed one after the other. */
export interface Scene {
  input: PlacementInput;
  options: PlannerOptions;
  /** Those that belong to the environment and are to stay, by name. */
  hosts: PlannerHost[];
  /** In start order. */
  services: readonly PlannerService[];
  givesUp: GivesUp;
  /** Hosts that have it by the parent plan, by service name. */
  current: ReadonlyMap<string, readonly PlannerHost[]>;
  /** Services placed so far. */
  placed: Map<string, Placement>;
}

export function sceneOf(input: PlacementInput): Scene {
  const hosts = input.hosts.filter(isWanted).sort(byName);
  const running = Map.groupBy(input.parent?.instances ?? [], (i) => i.service);
  const members = input.members.filter((m) => m.state !== 'removing');
  const hostsOf = ({ name, placement }: PlannerService) => {
    const ids = new Set((placement === 'etcd' ? members : running.get(name))?.map((i) => i.hostId));
    return hosts.filter((h) => ids.has(h.id));
  };
  return {
    input,
    options: { ...plannerDefaults, ...input.options },
    hosts,
    services: startOrder(input.services),
    givesUp: givesUpOf(input),
    current: new Map(input.services.map((s) => [s.name, hostsOf(s)])),
    placed: new Map(),
  };
}

/** Hosts that have it: by the parent plan, or for etcd by its members. */
export function currentHosts(scene: Scene, service: PlannerService): readonly PlannerHost[] {
  return scene.current.get(service.name) ?? [];
}

/** Where it goes, without the hosts that it is leaving. */
export function staysOn(placement: Placement | undefined): string[] {
  return placement?.hosts.filter((id) => !placement.leaving.includes(id)) ?? [];
}

/** It belongs to the environment, and is not being removed. */
export function isWanted(host: PlannerHost): boolean {
  return host.desiredState === 'active' && host.state !== 'removing' && host.state !== 'removed';
}

/** Something can be started there now: its agent answers, and has told its facts, so its labels are settled. */
export function isUsable(host: PlannerHost): boolean {
  return host.state === 'active' && host.factsKnown;
}

/** It has been asked for and has never been here, and may still come in time. */
export function isExpected({ input, options }: Scene, host: PlannerHost): boolean {
  return host.lastSeenMs === null && host.createdMs + options.hostRegisterDeadlineMs > input.now;
}

export function rulesOf(scene: Scene, service: PlannerService): Affinity[] {
  return [...planeRules(service, scene.input.environment.planes), ...(service.rules ?? [])];
}

export const idsOf = (hosts: readonly PlannerHost[]) => [...hosts].sort(byName).map((h) => h.id);
