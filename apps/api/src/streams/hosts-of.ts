import type { PrismaClient } from '@rancher/db';
import { databaseIsGone } from '../http/database-gone.ts';

/** How long hosts that were looked up are believed. */
const freshMs = 1_000;
const environmentsKept = 1_000;
const etcd = 'etcd';

export interface HostsOf {
  /**
   * Ids of the hosts where a component of an environment runs: healthy ones first, beside etcd before others, those that
   * are silent last.
   */
  find(environmentId: string, service: string): Promise<string[]>;
  forget(environmentId: string): void;
}

/** Where components run. While the database is away the last answer is believed, so that kubectl works on. */
export function createHostsOf(prisma: PrismaClient): HostsOf {
  const cache = new Map<string, { at: number; hostIds: string[] }>();

  async function load(environmentId: string, service: string): Promise<string[]> {
    const rows = await prisma.instance.findMany({
      where: {
        environmentId,
        service: { in: [service, etcd] },
        removedAt: null,
        state: { in: ['running', 'starting', 'pending', 'unknown'] },
      },
      select: { service: true, hostId: true, health: true, host: { select: { state: true } } },
      orderBy: { createdAt: 'desc' },
    });
    const here = rows.filter((row) => row.host.state === 'active');
    const healthy = here.filter((row) => row.health === 'healthy');
    // An API server without etcd beside it asks every member in turn, one that is cut off from its leader too, which
    // costs each request the whole time that etcd waits for a leader (6.4 s).
    const withEtcd = new Set(healthy.filter((row) => row.service === etcd).map((row) => row.hostId));
    const beside = healthy.filter((row) => withEtcd.has(row.hostId));
    const best = [...beside, ...healthy, ...here, ...rows].filter((row) => row.service === service);
    return [...new Set(best.map((row) => row.hostId))];
  }

  return {
    async find(environmentId, service) {
      const key = `${environmentId}/${service}`;
      const known = cache.get(key);
      if (known !== undefined && Date.now() - known.at < freshMs) return known.hostIds;
      try {
        const hostIds = await load(environmentId, service);
        cache.delete(key);
        // Where it runs nowhere yet, whoever asks waits for just that.
        if (hostIds.length === 0) return hostIds;
        if (cache.size >= environmentsKept) cache.delete(cache.keys().next().value as string);
        cache.set(key, { at: Date.now(), hostIds });
        return hostIds;
      } catch (error) {
        if (known !== undefined && databaseIsGone(error)) return known.hostIds;
        throw error;
      }
    },
    forget(environmentId) {
      for (const key of cache.keys()) if (key.startsWith(`${environmentId}/`)) cache.delete(key);
    },
  };
}
