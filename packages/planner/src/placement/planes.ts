import type { Affinity, PlaneMode } from '@rancher/domain';
import type { PlannerService, ServicePlacement } from '../types.ts';

/** Labels that put a host on a plane, as in Rancher 1.x: `etcd=true`, `orchestration=true`, `compute=true`. */
export const hostLabels = {
  all: 'compute',
  'control-plane': 'orchestration',
  etcd: 'etcd',
} as const satisfies Record<ServicePlacement, string>;

/**
 * The rule that a plane is for its services: soft where planes overlap, hard where they are isolated. What makes a host a
 * Node runs on every host in both: the control plane needs the pods' network too, and what isolation keeps away from it
 * is workload (a taint on the Node).
 */
export function planeRules(service: PlannerService, planes: PlaneMode = 'overlapping'): Affinity[] {
  if (service.placement === 'all') return [];
  const pairs = [{ key: hostLabels[service.placement], value: 'true' }];
  return [{ kind: 'host_label', not: false, soft: planes === 'overlapping', pairs, names: [] }];
}
