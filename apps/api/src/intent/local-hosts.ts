import type { Host, Queryable } from '@rancher/db';
import { DomainError, defaultHostNetwork, newId } from '@rancher/domain';

export interface LocalHostWish {
  name: string;
  labels: Record<string, string>;
  /** The network of its machine that it is on; the default one when left out. */
  network?: string;
}

/**
 * Writes rows of local hosts, each on the machine that has the fewest. Connected machines come first, but one that is
 * away for a moment is better than none.
 * @returns ids of the machines to notify
 * @throws DomainError `host_unreachable` when no machine can make local hosts
 */
export async function createLocalHosts(
  tx: Queryable,
  environmentId: string,
  wishes: LocalHostWish[],
): Promise<{ hosts: Host[]; machineIds: string[] }> {
  if (wishes.length === 0) return { hosts: [], machineIds: [] };
  const machines = await loadMachines(tx);
  const hosts: Host[] = [];
  for (const { network = defaultHostNetwork, ...wish } of wishes) {
    machines.sort((a, b) => Number(b.connected) - Number(a.connected) || a.count - b.count);
    const machine = machines[0];
    if (machine === undefined) {
      throw new DomainError(
        'host_unreachable',
        'No machine here can make local hosts: start an agent on one first (./rancher up does).',
      );
    }
    machine.count += 1;
    hosts.push(
      await tx.host.create({
        data: { id: newId('host'), environmentId, kind: 'local', machineId: machine.id, network, ...wish },
      }),
    );
  }
  return { hosts, machineIds: [...new Set(hosts.map((h) => h.machineId!))] };
}

async function loadMachines(tx: Queryable) {
  const rows = await tx.host.findMany({
    where: {
      kind: 'machine',
      removedAt: null,
      desiredState: 'active',
      facts: { path: ['localHosts'], equals: true },
    },
    select: {
      id: true,
      state: true,
      _count: { select: { localHosts: { where: { removedAt: null } } } },
    },
  });
  return rows.map((row) => ({ id: row.id, connected: row.state === 'active', count: row._count.localHosts }));
}

/** The first `count` names `<environment>-<n>` that are free. */
export function freeNames(environment: string, taken: ReadonlySet<string>, count: number): string[] {
  const names: string[] = [];
  for (let n = 1; names.length < count; n++) {
    const name = `${environment}-${n}`;
    if (!taken.has(name)) names.push(name);
  }
  return names;
}
