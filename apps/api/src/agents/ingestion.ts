import { setTimeout as delay } from 'node:timers/promises';
import type { ObservedLocalHost } from '@rancher/contracts';
import type { PrismaClient } from '@rancher/db';
import type { HostFacts, Inventory } from '@rancher/domain';
import {
  recordDisconnect,
  recordFacts,
  recordHello,
  recordInventory,
  recordLocalHosts,
} from '@rancher/reconcilers';
import type { Logger } from '@rancher/telemetry';
import { databaseIsGone } from '../http/database-gone.ts';

/** Hosts recorded at once: fewer than the pool has connections, so that requests of users find one. */
const concurrency = 6;
const firstPauseMs = 100;
const maxPauseMs = 5_000;
/** Tries at a report that the database answers with an error, such as a conflict of two writers. */
const maxFailures = 3;

/** The newest that is known of a host and not yet written. What is older is of no use to anyone. */
export interface News {
  hello?: { connectionId: string; facts: HostFacts };
  facts?: HostFacts;
  inventory?: Inventory;
  localHosts?: ObservedLocalHost[];
  disconnected?: { connectionId: string };
}

export interface Ingestion {
  /** Takes news of a host. Returns at once; `done` resolves once what was given by then is in the database. */
  add(hostId: string, news: News): Promise<void>;
  /** Writes what is left, or gives up when the database is away. */
  close(): Promise<void>;
}

/**
 * Writes what agents report: one host at a time in order, several hosts at once, and of each only the newest. While the
 * database is away it tries on, keeping no more than that.
 */
export function createIngestion(options: {
  prisma: PrismaClient;
  replicaId: string;
  logger: Logger;
  wake(environmentId: string): void;
}): Ingestion {
  const { prisma, replicaId, logger, wake } = options;
  const waiting = new Map<string, News>();
  const running = new Map<string, Promise<void>>();
  const slots = createSlots(concurrency);
  const closing = new AbortController();

  async function write(hostId: string, news: News): Promise<void> {
    const environments = new Set<string>();
    const note = (r: { environmentId: string | null; reconcile: boolean }) => {
      if (r.reconcile && r.environmentId !== null) environments.add(r.environmentId);
    };
    const { hello, facts, inventory, localHosts, disconnected } = news;
    if (hello !== undefined && inventory !== undefined) {
      note(await recordHello(prisma, { hostId, replicaId, ...hello, inventory }));
    } else {
      if (facts !== undefined) note(await recordFacts(prisma, hostId, facts));
      if (inventory !== undefined) note(await recordInventory(prisma, hostId, inventory));
    }
    if (localHosts !== undefined) {
      const { environmentIds } = await recordLocalHosts(prisma, hostId, localHosts);
      for (const id of environmentIds) environments.add(id);
    }
    if (disconnected !== undefined) await recordDisconnect(prisma, { hostId, ...disconnected });
    for (const id of environments) wake(id);
  }

  async function drain(hostId: string): Promise<void> {
    let pauseMs = firstPauseMs;
    for (let failures = 0; ; ) {
      const news = waiting.get(hostId);
      if (news === undefined) {
        running.delete(hostId); // in the same turn: who adds after it starts anew
        return;
      }
      waiting.delete(hostId);
      try {
        await slots(() => write(hostId, news));
        pauseMs = firstPauseMs;
        failures = 0;
        continue;
      } catch (error) {
        if (!databaseIsGone(error)) {
          failures += 1;
          logger.error({ err: error, hostId, failures }, 'report of a host not recorded');
        }
        if (closing.signal.aborted) break;
        // What is refused again and again is not worth more; the host's next report has it all.
        if (failures < maxFailures) waiting.set(hostId, { ...news, ...waiting.get(hostId) });
        else failures = 0;
      }
      await delay(pauseMs * (0.5 + Math.random() / 2), undefined, { signal: closing.signal }).catch(() => {});
      pauseMs = Math.min(pauseMs * 2, maxPauseMs);
    }
  }

  return {
    add(hostId, news) {
      waiting.set(hostId, { ...waiting.get(hostId), ...news });
      const before = running.get(hostId);
      if (before !== undefined) return before;
      // Set before it runs, as a drain may end within this turn.
      const run = Promise.resolve().then(() => drain(hostId));
      running.set(hostId, run);
      return run;
    },
    async close() {
      closing.abort();
      await Promise.allSettled(running.values());
    },
  };
}

/** Lets `limit` run at once; the others wait in order. */
function createSlots(limit: number) {
  let free = limit;
  const queue: (() => void)[] = [];
  return async <T>(run: () => Promise<T>): Promise<T> => {
    if (free > 0) free -= 1;
    else await new Promise<void>((resolve) => queue.push(resolve));
    try {
      return await run();
    } finally {
      const next = queue.shift();
      if (next === undefined) free += 1;
      else next();
    }
  };
}
