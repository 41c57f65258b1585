import { byName } from '../order.ts';
import type { PlannerHost, PlannerMember, PlannerService } from '../types.ts';
import { listWords } from '../words.ts';
import { judge } from './affinity.ts';
import { best, type Candidates, candidatesOf, followsEtcd, shouldMoveAway } from './candidates.ts';
import { firstMembers, membersOf, oddly, oddlyHeld } from './etcd-members.ts';
import { explain, refusalsOf } from './explain.ts';
import {
  currentHosts,
  idsOf,
  isUsable,
  type Placement,
  type PlacementInput,
  type Scene,
  sceneOf,
} from './scene.ts';
import { inTurn } from './turns.ts';

/**
 * Where each service should run, by service name. It does not need specs, so that specs which name their peers (etcd's
 * members, the API servers) can be rendered from it. Sticky: what runs somewhere stays there while that is possible and
 * no hard rule forbids it, though a better place may have come.
 */
export function placeServices(input: PlacementInput): Map<string, Placement> {
  const scene = sceneOf(input);
  for (const service of inTurn(input.services)) {
    scene.placed.set(service.name, withheld(placeOne(scene, service), scene, service));
  }
  while (dropForbidden(scene));
  return scene.placed;
}

/** The first members of an environment that has none; those that are recorded where there are any. */
export function foundingMembers(input: PlacementInput): PlannerMember[] {
  return membersOf(input, placeServices(input));
}

/**
 * Nothing new is placed before what it depends on has a place somewhere: a kubelet must know where its API server is, and
 * no component comes before the labels of the hosts are settled.
 */
function withheld(placement: Placement, scene: Scene, service: PlannerService): Placement {
  if (service.after.every((name) => scene.placed.get(name)?.hosts.length !== 0)) return placement;
  const current = currentHosts(scene, service).map((h) => h.id);
  return { ...placement, hosts: placement.hosts.filter((id) => current.includes(id)) };
}

function placeOne(scene: Scene, service: PlannerService): Placement {
  const candidates = candidatesOf(scene, service);
  const { all, allowed, stays, broken } = candidates;
  const global = allowed.filter((h) => !isVacated(scene, h));
  const goes =
    service.scale === null
      ? global.filter((h) => stays.includes(h) || isUsable(h))
      : scaled(scene, service, candidates);
  const current = [...stays, ...broken];
  const eligible = service.scale === null ? global : allowed;
  const awaited = eligible.filter((h) => !isUsable(h) && !current.includes(h));
  const short = service.scale === null ? 0 : service.scale - goes.length;
  // Against a rule is better than nowhere: the last of them go only once there is something in their place.
  const last = short > 0 ? broken.filter((h) => !goes.includes(h)).slice(0, short) : [];
  const held = service.placement === 'etcd' ? oddlyHeld(goes.length, last) : last;
  // etcd's members come and go by steps of their own.
  const leaving =
    service.placement === 'etcd' ? [] : broken.filter((h) => !goes.includes(h) && !held.includes(h));
  const leaves = stays.filter((h) => !goes.includes(h)).flatMap((h) => all.get(h.id)!.bad ?? []);
  const nowhere = service.scale === null && allowed.length === 0 && all.size > 0;
  return {
    hosts: idsOf([...new Set([...goes, ...held, ...leaving])]),
    leaving: idsOf(leaving),
    awaited: idsOf(awaited),
    missing: nowhere ? 1 : Math.max(0, short - awaited.length),
    because: explain(
      candidates,
      goes.filter((h) => !current.includes(h)),
    ),
    refused: refusalsOf(candidates),
    ...(leaves.length === 0 ? {} : { left: leaves.join(' and ') }),
  };
}

/** It is evacuated, and what could run elsewhere has left: what every host has leaves last, as the rest stands on it. */
function isVacated(scene: Scene, host: PlannerHost): boolean {
  if (host.evacuated !== true) return false;
  return scene.services.every((s) => s.scale === null || !currentHosts(scene, s).includes(host));
}

/** The hosts of a service of scale n: those that it has, then the best of the others. */
function scaled(scene: Scene, service: PlannerService, candidates: Candidates): PlannerHost[] {
  const scale = service.scale ?? 0;
  // etcd stays with its data, unless a hard rule forbids it or its host is given up.
  const fixed = service.placement === 'etcd';
  if (fixed && candidates.stays.length + candidates.broken.length === 0)
    return firstMembers(scene, service, candidates);
  const stays = [...candidates.stays].sort((a, b) => staying(a) - staying(b) || byName(a, b));
  const given = stays.filter(
    (h) =>
      scene.givesUp(service, h) ||
      followsEtcd(scene, service, candidates, h) ||
      (!fixed && shouldMoveAway(scene, service, candidates, h)),
  );
  const kept = stays.filter((h) => !given.includes(h)).slice(0, scale);
  // A lost place is better than none: it is given up only for another.
  const hosts = [...kept, ...best(candidates, scale - kept.length), ...given].slice(0, scale);
  // Where members stay against a rule, it is their number that makes the whole odd.
  const holds = candidates.broken.length > 0 && hosts.length < scale;
  return fixed && !holds ? oddly(kept.length, hosts) : hosts;
}

/** Lost hosts are the first to be given up when a service shrinks. */
function staying(host: PlannerHost): number {
  return host.state === 'active' ? 0 : 1;
}

/**
 * A rule may name what was placed after it. Whatever is new on a host and turns out to be forbidden there is taken back,
 * and with the last of it what depends on it. Says whether anything was.
 */
function dropForbidden(scene: Scene): boolean {
  for (const service of scene.services) {
    const placement = scene.placed.get(service.name)!;
    const held = withheld(placement, scene, service);
    const refused = refusedNow(scene, service, held);
    const ids = Object.keys(refused);
    if (ids.length === 0 && held.hosts.length === placement.hosts.length) continue;
    scene.placed.set(service.name, {
      ...held,
      hosts: held.hosts.filter((id) => !ids.includes(id)),
      missing: held.missing + ids.length,
      refused: { ...held.refused, ...refused },
    });
    return true;
  }
  return false;
}

function refusedNow(scene: Scene, service: PlannerService, { hosts }: Placement): Record<string, string> {
  const current = currentHosts(scene, service);
  return Object.fromEntries(
    scene.hosts
      .filter((host) => hosts.includes(host.id) && !current.includes(host))
      .flatMap((host): [string, string][] => {
        const { refusals } = judge(scene, service, host);
        return refusals.length === 0 ? [] : [[host.id, `it ${listWords(refusals)}`]];
      }),
  );
}
