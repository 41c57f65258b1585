import { startOrder } from '../order.ts';
import type { PlannerService } from '../types.ts';
import { namedBy } from './affinity.ts';

/**
 * In which turn services are placed: etcd first, so that the control plane can be put beside it; then each after what it
 * depends on and what its rules name. Where these go round in a circle, the start order decides.
 */
export function inTurn(services: readonly PlannerService[]): PlannerService[] {
  const started = startOrder(services);
  const rest = [
    ...started.filter((s) => s.placement === 'etcd'),
    ...started.filter((s) => s.placement !== 'etcd'),
  ];
  const done: PlannerService[] = [];
  const isFree = (s: PlannerService, others: readonly PlannerService[]) =>
    others.every((other) => other === s || done.includes(other) || !rest.includes(other));
  while (rest.length > 0) {
    const byName = (s: PlannerService) => services.filter((o) => s.after.includes(o.name));
    const free = rest.filter((s) => s.placement === 'etcd' || isFree(s, byName(s)));
    const next = free.find((s) => isFree(s, namedBy(services, s))) ?? free[0] ?? rest[0]!;
    rest.splice(rest.indexOf(next), 1);
    done.push(next);
  }
  return done;
}
