import type { PlannerService } from './types.ts';

/**
 * Services in start order: each after everything that it names in `after`, ties by name, so that the order does not
 * depend on that of the input. Throws on a cycle: that is a fault of the components' registry, not of the world.
 */
export function startOrder<S extends Pick<PlannerService, 'name' | 'after'>>(services: readonly S[]): S[] {
  const known = new Set(services.map((s) => s.name));
  const rest = [...services].sort((a, b) => compare(a.name, b.name));
  const done = new Set<string>();
  const ordered: S[] = [];
  while (rest.length > 0) {
    const next = rest.findIndex((s) => s.after.every((a) => done.has(a) || !known.has(a)));
    if (next === -1) throw new Error(`Services wait for each other: ${rest.map((s) => s.name).join(', ')}`);
    const [service] = rest.splice(next, 1);
    done.add(service!.name);
    ordered.push(service!);
  }
  return ordered;
}

/** By code unit: the same on every machine, whatever its locale. */
export function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

export const byName = (a: { name: string; id: string }, b: { name: string; id: string }) =>
  compare(a.name, b.name) || compare(a.id, b.id);
