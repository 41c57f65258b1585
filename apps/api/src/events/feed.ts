import type { Event, PrismaClient } from '@rancher/db';
import type { Logger } from '@rancher/telemetry';
import { databaseIsGone } from '../http/database-gone.ts';

const batch = 500;
const retryMs = 1_000;

export interface EventFilter {
  environmentId?: string;
}

export interface EventFeed {
  /** "Look now": events were recorded. */
  notified(): void;
  /** Id of the newest event: who follows from it hears of all that is recorded after this call. */
  newest(): Promise<bigint>;
  /**
   * Calls `send` for each event after `from`, in order, none twice and none left out, until `stop`. `send` says whether to
   * go on.
   */
  follow(filter: EventFilter, from: bigint, send: (event: Event) => boolean): { stop(): void };
  close(): void;
}

interface Follower {
  filter: EventFilter;
  /** Id of the last event that it was sent or passed over. */
  position: bigint;
  send(event: Event): boolean;
}

/**
 * Events as they come, for any number of followers with one query each time something happens. Ids become visible in
 * order (see recordEvents), so "after the last that I saw" leaves nothing out.
 */
export function createEventFeed(options: { prisma: PrismaClient; logger: Logger }): EventFeed {
  const { prisma, logger } = options;
  const followers = new Set<Follower>();
  let last: bigint | undefined;
  let looking = false;
  let again = false;
  let closed = false;

  async function newest(): Promise<bigint> {
    const row = await prisma.event.findFirst({ orderBy: { id: 'desc' }, select: { id: true } });
    return row?.id ?? 0n;
  }

  /** Brings one follower up to what all the others have seen. */
  async function catchUp(follower: Follower): Promise<void> {
    while (followers.has(follower) && follower.position < last!) {
      const rows = await prisma.event.findMany({
        where: { ...follower.filter, id: { gt: follower.position, lte: last! } },
        orderBy: { id: 'asc' },
        take: batch,
      });
      for (const row of rows) deliver(follower, row);
      if (rows.length < batch && follower.position < last!) follower.position = last!;
    }
  }

  function deliver(follower: Follower, event: Event): void {
    if (!followers.has(follower) || event.id <= follower.position) return;
    follower.position = event.id;
    const { environmentId } = follower.filter;
    if (environmentId !== undefined && event.environmentId !== environmentId) return;
    if (!follower.send(event)) followers.delete(follower);
  }

  async function look(): Promise<void> {
    last ??= await newest();
    for (const follower of [...followers]) await catchUp(follower);
    for (;;) {
      const after: bigint = last;
      const rows: Event[] = await prisma.event.findMany({
        where: { id: { gt: after } },
        orderBy: { id: 'asc' },
        take: batch,
      });
      for (const row of rows) {
        last = row.id;
        for (const follower of followers) deliver(follower, row);
      }
      if (rows.length < batch) return;
    }
  }

  function notified(): void {
    if (looking) {
      again = true;
      return;
    }
    if (followers.size === 0) last = undefined;
    if (closed || followers.size === 0) return;
    looking = true;
    again = false;
    look()
      .catch((error: unknown) => {
        if (!databaseIsGone(error)) logger.error({ err: error }, 'events not followed');
        setTimeout(notified, retryMs).unref();
      })
      .finally(() => {
        looking = false;
        if (again) notified();
      });
  }

  return {
    notified,
    newest,
    follow(filter, from, send) {
      const follower: Follower = { filter, position: from, send };
      followers.add(follower);
      notified();
      return { stop: () => void followers.delete(follower) };
    },
    close() {
      closed = true;
      followers.clear();
    },
  };
}
