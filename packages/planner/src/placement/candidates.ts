import { byName } from '../order.ts';
import type { PlannerHost, PlannerService } from '../types.ts';
import { type Judgement, judge, mayLeave } from './affinity.ts';
import { badPlace, standsWell } from './bad-places.ts';
import { currentHosts, isExpected, isUsable, type Scene, staysOn } from './scene.ts';

/** A host as one service sees it. */
export interface Candidate extends Judgement {
  host: PlannerHost;
  /** What the service suffered there, in words, or null. */
  bad: string | null;
}

/** The hosts of an environment as one service sees them. */
export interface Candidates {
  all: ReadonlyMap<string, Candidate>;
  /** Not forbidden by a hard rule that it can follow. By name. */
  allowed: PlannerHost[];
  /** Of these, where it runs already. */
  stays: PlannerHost[];
  /** Where it runs against a hard rule. */
  broken: PlannerHost[];
  /** Of the allowed, where it does not run, the best first: those that are here, and those that are expected. */
  ranked: PlannerHost[];
}

export function candidatesOf(scene: Scene, service: PlannerService): Candidates {
  const all = new Map(
    scene.hosts.map((host): [string, Candidate] => [
      host.id,
      { host, ...judge(scene, service, host), bad: badPlace(scene, service, host) },
    ]),
  );
  const current = currentHosts(scene, service);
  const isAllowed = (h: PlannerHost) =>
    all.get(h.id)!.refusals.length === 0 || (current.includes(h) && !mayLeave(scene, service, h));
  const allowed = scene.hosts.filter(isAllowed);
  const ranks = new Map(allowed.map((h) => [h.id, rankOf(scene, service, all.get(h.id)!)]));
  return {
    all,
    allowed,
    stays: current.filter(isAllowed),
    broken: current.filter((h) => !isAllowed(h)),
    ranked: allowed
      .filter((h) => !current.includes(h) && h.evacuated !== true && (isUsable(h) || isExpected(scene, h)))
      .sort((a, b) => compareRanks(ranks.get(a.id)!, ranks.get(b.id)!) || byName(a, b)),
  };
}

/**
 * The best n of the hosts where it does not run yet. One that is still on its way keeps its turn where it will keep more
 * of the soft rules than those that are here: nothing is placed before the labels of the hosts are settled.
 */
export function best({ ranked }: Candidates, n: number): PlannerHost[] {
  return ranked.slice(0, Math.max(0, n)).filter(isUsable);
}

function compareRanks(a: number[], b: number[]): number {
  const first = a.findIndex((rank, i) => rank !== b[i]);
  return first === -1 ? 0 : a[first]! - b[first]!;
}

/**
 * In order of weight: soft rules; hosts that are here; where it did not fail; the control plane together, beside etcd;
 * hosts that have the least.
 */
function rankOf(scene: Scene, service: PlannerService, candidate: Candidate): number[] {
  const { host, reservations, bad } = candidate;
  const beside = scene.services.filter(
    (s) => s !== service && s.scale !== null && staysOn(scene.placed.get(s.name)).includes(host.id),
  );
  const isThere = (plane: string) => beside.some((s) => s.placement === plane);
  const together = (isThere('control-plane') ? 0 : 2) + (isThere('etcd') ? 0 : 1);
  const last = service.placement === 'control-plane' ? together : beside.length;
  return [reservations.length, isUsable(host) ? 0 : 1, bad === null ? 0 : 1, last];
}

/**
 * It fails there again and again, for reasons of its own or of the host's, and there is a host that keeps as many soft
 * rules and where it does not.
 */
export function shouldMoveAway(
  scene: Scene,
  service: PlannerService,
  { all, ranked }: Candidates,
  host: PlannerHost,
): boolean {
  const here = all.get(host.id)!;
  if (here.bad === null || !standsWell(scene, service, host)) return false;
  return ranked.filter(isUsable).some((h) => {
    const there = all.get(h.id)!;
    return there.bad === null && there.reservations.length <= here.reservations.length;
  });
}

/**
 * Its host is lost and has lost its member of etcd to another, where the control plane is best beside it. Apart from etcd
 * an API server asks each member in turn, and one that is cut off from its leader keeps it waiting.
 */
export function followsEtcd(
  scene: Scene,
  service: PlannerService,
  candidates: Candidates,
  host: PlannerHost,
): boolean {
  const etcd = scene.services.find((s) => s.placement === 'etcd');
  if (etcd === undefined || service.placement !== 'control-plane' || !scene.givesUp(etcd, host)) return false;
  const members = staysOn(scene.placed.get(etcd.name));
  return !members.includes(host.id) && best(candidates, 1).some((h) => members.includes(h.id));
}
