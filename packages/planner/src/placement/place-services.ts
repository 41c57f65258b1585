import { byName, startOrder } from '../order.ts';
import type { PlannerHost, PlannerService } from '../types.ts';
import { firstMembers } from './etcd-members.ts';
import { eligibleHosts } from './planes.ts';
import {
  currentHosts,
  idsOf,
  isUsable,
  type Placement,
  type PlacementInput,
  type Scene,
  sceneOf,
} from './scene.ts';

/**
 * Where each service should run, by service name. It does not need specs, so that specs which name their peers (etcd's
 * members, the API servers) can be rendered from it. Sticky: what runs somewhere stays there while that is possible.
 */
export function placeServices(input: PlacementInput): Map<string, Placement> {
  const scene = sceneOf(input);
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
  const usable = eligible.filter(isUsable);
  const awaited = eligible.filter((h) => !usable.includes(h) && !current.includes(h)).map((h) => h.id);

  if (service.scale === null) {
    const stays = current.filter((h) => eligible.includes(h));
    return { hosts: idsOf([...new Set([...stays, ...usable])]), awaited, missing: 0 };
  }
  if (service.placement === 'etcd' && current.length === 0)
    return firstMembers(scene, service, eligible, usable, awaited);

  const hosts = scaled(scene, service, { eligible, current, usable });
  return {
    hosts: idsOf(hosts),
    awaited,
    missing: Math.max(0, service.scale - hosts.length - awaited.length),
  };
}

/** The hosts of a service of scale n: those that it has, then the best of the others. */
function scaled(
  scene: Scene,
  service: PlannerService,
  { eligible, current, usable }: Record<'eligible' | 'current' | 'usable', PlannerHost[]>,
): PlannerHost[] {
  const scale = service.scale ?? eligible.length;
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
  return [...stays.filter((h) => !given.includes(h)).slice(0, scale), ...spare, ...given].slice(0, scale);
}

/** Lost hosts are the first to be given up when a service shrinks. */
function staying(host: PlannerHost): number {
  return host.state === 'active' ? 0 : 1;
}
