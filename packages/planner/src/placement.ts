import { brakeOf } from './brake.ts';
import { byName, compare, startOrder } from './order.ts';
import { hasQuorum } from './quorum.ts';
import {
  type PlannerHost,
  type PlannerInput,
  type PlannerService,
  plannerDefaults,
  type ServicePlacement,
} from './types.ts';

/** Labels that put a host on a plane, as in Rancher 1.x. With no host labelled for a plane, every host is on it. */
export const hostLabels = {
  all: 'compute',
  'control-plane': 'orchestration',
  etcd: 'etcd',
} as const satisfies Record<ServicePlacement, string>;

export interface Placement {
  /** Ids of the hosts that should run it, by host name. */
  hosts: string[];
  /** Hosts that should, and cannot yet: not registered, or lost. */
  awaited: string[];
  /** Of `scale`, how many have no host at all. */
  missing: number;
}

type PlacementInput = Pick<
  PlannerInput,
  'now' | 'environment' | 'services' | 'hosts' | 'parent' | 'observed' | 'options'
>;

interface Scene {
  input: PlacementInput;
  hosts: PlannerHost[];
  /** Hosts lost for so long that what can move from them moves. Empty while the brake is on or etcd has no quorum. */
  givenUp: Set<string>;
  /** Hosts of the services placed so far, for keeping a plane together. */
  chosen: Map<ServicePlacement, Set<string>>;
}

/**
 * Where each service should run, by service name. It does not need specs, so that specs which name their peers (etcd's
 * members, the API servers) can be rendered from it. Sticky: what runs somewhere stays there while that is possible.
 */
export function placeServices(input: PlacementInput): Map<string, Placement> {
  const hosts = [...input.hosts].sort(byName);
  const scene: Scene = { input, hosts, givenUp: givenUpHosts(input), chosen: new Map() };
  const result = new Map<string, Placement>();
  // etcd first, so that the control plane can be put beside it.
  const services = startOrder(input.services);
  const ordered = [
    ...services.filter((s) => s.placement === 'etcd'),
    ...services.filter((s) => s.placement !== 'etcd'),
  ];
  for (const service of ordered) {
    const placement = withheld(placeOne(scene, service), scene, service, result);
    const plane = scene.chosen.get(service.placement) ?? new Set();
    for (const host of placement.hosts) plane.add(host);
    scene.chosen.set(service.placement, plane);
    result.set(service.name, placement);
  }
  return result;
}

/**
 * Nothing new is placed before what it depends on has a place somewhere: a kubelet must know where its API server is, and
 * no component comes before the labels of the hosts are settled.
 */
function withheld(
  placement: Placement,
  scene: Scene,
  service: PlannerService,
  placed: ReadonlyMap<string, Placement>,
): Placement {
  if (service.after.every((name) => placed.get(name)?.hosts.length !== 0)) return placement;
  const current = new Set(currentHosts(scene, service).map((h) => h.id));
  return { ...placement, hosts: placement.hosts.filter((id) => current.has(id)) };
}

function placeOne(scene: Scene, service: PlannerService): Placement {
  const eligible = eligibleHosts(scene.hosts, service.placement);
  const current = currentHosts(scene, service);
  const usable = eligible.filter((h) => h.state === 'active' && h.factsKnown);
  const awaited = eligible.filter((h) => !usable.includes(h) && !current.includes(h)).map((h) => h.id);
  const idsOf = (hosts: PlannerHost[]) => hosts.sort(byName).map((h) => h.id);

  if (service.scale === null) {
    const stays = current.filter((h) => eligible.includes(h));
    return { hosts: idsOf([...new Set([...stays, ...usable])]), awaited, missing: 0 };
  }
  if (service.placement === 'etcd' && current.length === 0)
    return bootstrap(scene, service, eligible, usable, awaited);

  const beside = scene.chosen.get('etcd') ?? new Set();
  const own = scene.chosen.get(service.placement) ?? new Set();
  const rank = (h: PlannerHost) => (own.has(h.id) ? 0 : 2) + (beside.has(h.id) ? 0 : 1);
  const spare = usable.filter((h) => !current.includes(h)).sort((a, b) => rank(a) - rank(b) || byName(a, b));
  // etcd stays with its data, whatever becomes of the labels.
  const fixed = service.placement === 'etcd';
  const stays = current
    .filter((h) => fixed || eligible.includes(h))
    .sort((a, b) => staying(a) - staying(b) || byName(a, b));
  const given = fixed ? [] : stays.filter((h) => scene.givenUp.has(h.id));
  // A lost place is better than none: it is given up only for another.
  const hosts = [
    ...stays.filter((h) => !given.includes(h)).slice(0, service.scale),
    ...spare,
    ...given,
  ].slice(0, service.scale);
  return {
    hosts: idsOf(hosts),
    awaited,
    missing: Math.max(0, service.scale - hosts.length - awaited.length),
  };
}

/**
 * The first etcd members are made all at once, so all of their hosts must be there. An environment that was active once
 * never gets a first member again: what etcd held would be lost in silence.
 */
function bootstrap(
  scene: Scene,
  service: PlannerService,
  eligible: PlannerHost[],
  usable: PlannerHost[],
  awaited: string[],
): Placement {
  const scale = service.scale ?? eligible.length;
  const wanted = Math.min(scale, eligible.length);
  const missing = scale - wanted;
  if (scene.input.environment.bootstrapped || usable.length < wanted) return { hosts: [], awaited, missing };
  return { hosts: usable.slice(0, wanted).map((h) => h.id), awaited, missing };
}

/** Lost hosts are the first to be given up when a service shrinks. */
function staying(host: PlannerHost): number {
  return host.state === 'active' ? 0 : 1;
}

function currentHosts(scene: Scene, service: PlannerService): PlannerHost[] {
  const ids = new Set(
    scene.input.parent?.instances.filter((i) => i.service === service.name).map((i) => i.hostId),
  );
  return scene.hosts.filter((h) => ids.has(h.id) && isWanted(h));
}

function eligibleHosts(hosts: readonly PlannerHost[], placement: ServicePlacement): PlannerHost[] {
  const wanted = hosts.filter(isWanted);
  const labelled = wanted.filter((h) => h.labels[hostLabels[placement]] === 'true');
  return labelled.length > 0 ? labelled : wanted;
}

function isWanted(host: PlannerHost): boolean {
  return host.desiredState === 'active' && host.state !== 'removing' && host.state !== 'removed';
}

function givenUpHosts(input: PlacementInput): Set<string> {
  const options = { ...plannerDefaults, ...input.options };
  if (brakeOf(input.hosts, options).on || !etcdAnswers(input)) return new Set();
  return new Set(
    input.hosts
      .filter((h) => h.state === 'disconnected' && h.lastSeenMs !== null)
      .filter((h) => input.now - h.lastSeenMs! >= options.hostsReplaceAfterMs)
      .map((h) => h.id)
      .sort(compare),
  );
}

/** A control plane is of no use without etcd: it is moved only while a majority of the members answers. */
function etcdAnswers(input: PlacementInput): boolean {
  const etcd = new Set(input.services.filter((s) => s.placement === 'etcd').map((s) => s.name));
  const connected = new Set(input.hosts.filter((h) => h.state === 'active').map((h) => h.id));
  const healthy = new Set(input.observed.filter((o) => o.health === 'healthy').map((o) => o.id));
  const members = (input.parent?.instances ?? []).filter((i) => etcd.has(i.service));
  return hasQuorum(members.map((m) => ({ id: m.id, healthy: connected.has(m.hostId) && healthy.has(m.id) })));
}
