import { byName, compare } from './order.ts';
import type { PlannerHost, PlannerOptions } from './types.ts';

const windowMs = 60_000;
const fewest = 3;

export interface Brake {
  on: boolean;
  /** Hosts that vanished together, by name. */
  vanished: PlannerHost[];
  /** When the last of them was seen (ms); 0 when off. */
  since: number;
}

/**
 * When more than a third of an environment's hosts, and at least 3, vanish within a minute, the fault is more likely ours
 * or the network's than theirs. It is worked out from when each lost host was last seen, so it holds, without being
 * remembered, until they return or a user releases it.
 */
export function brakeOf(hosts: readonly PlannerHost[], options: PlannerOptions): Brake {
  const expected = hosts.filter((h) => h.desiredState === 'active' && h.lastSeenMs !== null);
  const lost = expected
    .filter((h) => h.state !== 'active' && h.lastSeenMs! > options.brakeReleasedAt)
    .sort((a, b) => a.lastSeenMs! - b.lastSeenMs! || compare(a.id, b.id));
  let vanished: PlannerHost[] = [];
  let from = 0;
  for (const [to, host] of lost.entries()) {
    while (host.lastSeenMs! - lost[from]!.lastSeenMs! > windowMs) from += 1;
    if (to - from + 1 >= vanished.length) vanished = lost.slice(from, to + 1);
  }
  const on = vanished.length >= fewest && vanished.length * 3 > expected.length;
  const since = on ? Math.max(...vanished.map((h) => h.lastSeenMs!)) : 0;
  return { on, vanished: on ? vanished.sort(byName) : [], since };
}
