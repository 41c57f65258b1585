import type { PlannedInstance } from '@rancher/domain';
import type { PlannerInstance, PlannerService } from './types.ts';
import { exitWords, inWords } from './words.ts';
import { isConnected, isHealthy, nameOf, place, type World } from './world.ts';

/** What is to be thought of one planned instance. */
export type Diagnosis =
  /** It runs as it should. */
  | { kind: 'well' }
  /** Not yet healthy, and given its time. */
  | { kind: 'settling' }
  /** Its host is lost, so nothing is known of it. */
  | { kind: 'unknown' }
  /** Runs, but not what it should run now. */
  | { kind: 'stale' }
  /** Should run something else, and has not been started: exchanged freely. */
  | { kind: 'unstarted' }
  /** Unhealthy, and what it depends on is the likelier cause. `until`: given that long once the dependency is healthy. */
  | { kind: 'hindered'; by: string; until: number | null }
  | { kind: 'failed'; reason: string; exited: boolean; healthyForMs: number };

/** It should run something else than it was started with. */
export function isStale(
  { input }: World,
  { service, hostId, specHash, startHash }: PlannedInstance,
): boolean {
  const wanted = (input.startHash ?? input.specHash)(service, hostId);
  return (startHash ?? specHash) !== wanted;
}

export function diagnose(world: World, service: PlannerService, instance: PlannedInstance): Diagnosis {
  const seen = world.observed.get(instance.id);
  if (!isConnected(world.hostById.get(instance.hostId)) || seen?.state === 'unknown')
    return { kind: 'unknown' };
  const stale = isStale(world, instance);
  if (seen === undefined || seen.state === 'pending') return { kind: stale ? 'unstarted' : 'settling' };
  const where = `${service.name} on ${nameOf(world, instance.hostId)}`;
  if (seen.state === 'exited') {
    return {
      kind: 'failed',
      reason: `${where} exited (${exitWords(seen.exit)})${lifetime(seen)}`,
      exited: true,
      healthyForMs: healthyFor(world, seen),
    };
  }
  if (seen.health === 'unhealthy') {
    const hindrance = hindered(world, service, instance);
    if (hindrance !== null) return hindrance;
    return {
      kind: 'failed',
      reason: `${where} is unhealthy${seen.message === null ? '' : `: ${seen.message}`}`,
      exited: false,
      healthyForMs: healthyFor(world, seen),
    };
  }
  if (stale) return { kind: 'stale' };
  return { kind: seen.state === 'running' && seen.health === 'healthy' ? 'well' : 'settling' };
}

/** Killing what only misses its dependency mends nothing and costs a start more. */
function hindered(world: World, service: PlannerService, instance: PlannedInstance): Diagnosis | null {
  for (const name of service.after) {
    const dependency = world.planned.get(place(name, instance.hostId));
    if (dependency === undefined) continue;
    if (!isHealthy(world, dependency)) return { kind: 'hindered', by: name, until: null };
    const healthySince = world.observed.get(dependency.id)?.healthyMs ?? 0;
    const until = healthySince + world.options.dependencySettleMs;
    if (until > world.now) return { kind: 'hindered', by: name, until };
  }
  return null;
}

function lifetime(seen: PlannerInstance): string {
  if (seen.startedMs === null || seen.exitedMs === null) return '';
  return ` after ${inWords(seen.exitedMs - seen.startedMs)}`;
}

/** The agent's clock alone where it gives both times; ours would bring its skew in. */
function healthyFor(world: World, seen: PlannerInstance): number {
  if (seen.healthyMs === null) return 0;
  return (seen.exitedMs ?? world.now) - seen.healthyMs;
}
