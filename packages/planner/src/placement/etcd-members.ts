import type { PlannerHost, PlannerService } from '../types.ts';
import type { Placement, Scene } from './scene.ts';

/**
 * The first etcd members are made all at once, so all of their hosts must be there. An environment that was active once
 * never gets a first member again: what etcd held would be lost in silence.
 */
export function firstMembers(
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
