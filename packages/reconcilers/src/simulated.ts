import type { HostRow } from './world.ts';

/** Label that an agent with the simulated runtime joins with; there is no cluster behind such hosts. */
export const runtimeLabel = 'io.rancher.host.runtime';

export function isSimulated(hosts: readonly Pick<HostRow, 'labels'>[]): boolean {
  return hosts.length > 0 && hosts.every((h) => h.labels[runtimeLabel] === 'simulated');
}
