import { derivedId } from '@rancher/domain';
import type { PlannerHost, PlannerMember, PlannerService } from '../types.ts';
import { best, type Candidates } from './candidates.ts';
import type { Placement, PlacementInput, Scene } from './scene.ts';

/**
 * The first etcd members are made all at once, so all of their hosts must be there. An environment that was active once
 * never gets a first member again: what etcd held would be lost in silence.
 */
export function firstMembers(scene: Scene, service: PlannerService, candidates: Candidates): PlannerHost[] {
  if (scene.input.environment.bootstrapped) return [];
  const wanted = odd(Math.min(service.scale ?? Number.POSITIVE_INFINITY, candidates.allowed.length));
  const chosen = best(candidates, wanted);
  return chosen.length < wanted ? [] : chosen;
}

/**
 * Two members tolerate no more failures than one, and fail twice as often (etcd's FAQ, "What is failure tolerance?"): as
 * long as there are hosts for an even number only, one less is made. What is there already is kept.
 */
export function oddly(stays: number, hosts: PlannerHost[]): PlannerHost[] {
  return hosts.length > stays && hosts.length % 2 === 0 ? hosts.slice(0, -1) : hosts;
}

/** Of members that would stay against a rule, for want of another host: one less, where that makes their number odd. */
export function oddlyHeld(goes: number, held: PlannerHost[]): PlannerHost[] {
  return goes > 0 && (goes + held.length) % 2 === 0 ? held.slice(0, -1) : held;
}

const odd = (count: number) => (count % 2 === 0 ? Math.max(0, count - 1) : count);

/** Members as recorded; in an environment that never had one, the first ones, all of which vote at once. */
export function membersOf(input: PlacementInput, placement: ReadonlyMap<string, Placement>): PlannerMember[] {
  if (input.members.length > 0 || input.environment.bootstrapped) return [...input.members];
  const etcd = input.services.find((s) => s.placement === 'etcd');
  const hosts = placement.get(etcd?.name ?? '')?.hosts ?? [];
  return hosts.map((hostId) => ({
    id: memberId(input, hostId, 'found'),
    hostId,
    state: 'voter',
    voting: true,
    lastError: null,
  }));
}

/** A new id for each life of a member: its data folder is named by it, so that stale data is never taken up. */
export function memberId({ environment }: PlacementInput, hostId: string, life: string | number): string {
  return derivedId('etcdMember', environment.id, hostId, life);
}
