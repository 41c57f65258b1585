import type { PlannerHost, PlannerService } from '../types.ts';
import { best, type Candidates } from './candidates.ts';
import type { Scene } from './scene.ts';

/**
 * The first etcd members are made all at once, so all of their hosts must be there. An environment that was active once
 * never gets a first member again: what etcd held would be lost in silence.
 */
export function firstMembers(scene: Scene, service: PlannerService, candidates: Candidates): PlannerHost[] {
  if (scene.input.environment.bootstrapped) return [];
  const wanted = Math.min(service.scale ?? Number.POSITIVE_INFINITY, candidates.allowed.length);
  const chosen = best(candidates, wanted);
  return chosen.length < wanted ? [] : chosen;
}
