import type { PlannerHost, ServicePlacement } from '../types.ts';
import { isWanted } from './scene.ts';

/** Labels that put a host on a plane, as in Rancher 1.x. With no host labelled for a plane, every host is on it. */
export const hostLabels = {
  all: 'compute',
  'control-plane': 'orchestration',
  etcd: 'etcd',
} as const satisfies Record<ServicePlacement, string>;

export function eligibleHosts(hosts: readonly PlannerHost[], placement: ServicePlacement): PlannerHost[] {
  const wanted = hosts.filter(isWanted);
  const labelled = wanted.filter((h) => h.labels[hostLabels[placement]] === 'true');
  return labelled.length > 0 ? labelled : wanted;
}
