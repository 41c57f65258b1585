import { place } from '../place.ts';
import type { PlannerHost, PlannerService } from '../types.ts';
import type { Scene } from './scene.ts';

/** Failures in a row, none of them after ten healthy seconds, that make a host a bad one for a service. */
const fewest = 5;

/**
 * What a service suffered on a host, in words, where it failed there again and again without ever running for long; null
 * otherwise. Forgotten after an hour, so that a host gets another chance and moves stay few.
 */
export function badPlace(scene: Scene, service: PlannerService, host: PlannerHost): string | null {
  const memory = scene.input.parent?.failures[place(service.name, host.id)];
  const count = memory?.shortLived ?? 0;
  if (memory === undefined || count < fewest) return null;
  if (scene.input.now - memory.lastAt >= scene.options.badPlaceMs) return null;
  return `${service.name} failed there ${count} times in a row`;
}

/** What it stands on there is well, so that its failures are its own or the host's. */
export function standsWell(scene: Scene, service: PlannerService, host: PlannerHost): boolean {
  return service.after.every((name) => {
    const instance = scene.input.parent?.instances.find((i) => i.service === name && i.hostId === host.id);
    if (instance === undefined) return true;
    return scene.input.observed.find((o) => o.id === instance.id)?.health === 'healthy';
  });
}
