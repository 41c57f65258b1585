import type { EventInput } from '@rancher/domain';
import type { PrismaClient } from './generated/client.ts';
import { advisoryLocks } from './locks.ts';
import type { Queryable } from './open.ts';

/**
 * Records events and notifies `rancher_event` with each id, in one statement. Ids become visible in ascending order, so
 * that a reader who has seen id n misses none when it asks for what is greater. In a transaction call it last: others
 * that record events wait until it commits. Outside of a transaction the disk is not waited for: the lock that keeps the
 * order would otherwise let through no more events in a second than the disk flushes, and a crash of Postgres costs at
 * most the last moment's sentences, never what they are about.
 * @returns their ids
 */
export async function recordEvents(db: Queryable, events: readonly EventInput[]): Promise<bigint[]> {
  if (events.length === 0) return [];
  const rows = JSON.stringify(events);
  const alone = '$transaction' in db;
  const inserted = await db.$queryRaw<{ id: bigint }[]>`
    WITH locked AS MATERIALIZED (SELECT pg_advisory_xact_lock(${advisoryLocks.events}),
      CASE WHEN ${alone} THEN set_config('synchronous_commit', 'off', true) END),
    inserted AS (
      INSERT INTO "Event" ("createdAt", "environmentId", "hostId", "type", "reason", "message", "regarding", "data")
      SELECT clock_timestamp(), e."environmentId", e."hostId", e."type", e."reason", e."message", e."regarding", e."data"
      FROM locked, ROWS FROM (jsonb_to_recordset(${rows}::jsonb) AS (
        "environmentId" text, "hostId" text, "type" text, "reason" text, "message" text, "regarding" jsonb, "data" jsonb
      )) WITH ORDINALITY AS e
      RETURNING "id"
    )
    SELECT "id", pg_notify('rancher_event', "id"::text)::text FROM inserted`;
  return inserted.map((row) => row.id);
}

const dayMs = 24 * 60 * 60 * 1000;
/** Partitions made ahead: for so many days maintenance may fail before events go to the default partition. */
const daysAhead = 3;

/**
 * Makes the partitions of the next days and drops those whose every event is older than `keepDays`. Run it at start and
 * every few hours; several at once do no harm.
 */
export async function maintainEventPartitions(
  prisma: PrismaClient,
  options: { keepDays: number },
  now: Date = new Date(),
): Promise<{ created: string[]; dropped: string[] }> {
  const today = Math.floor(now.getTime() / dayMs);
  const oldest = today - options.keepDays;
  return prisma.$transaction(
    async (tx) => {
      await tx.$executeRaw`SELECT pg_advisory_xact_lock(${advisoryLocks.partitions})`;
      const there = await tx.$queryRaw<{ name: string }[]>`
        SELECT c.relname AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = '"Event"'::regclass`;
      const names = new Set(there.map((row) => row.name));
      const wanted = Array.from({ length: daysAhead + 1 }, (_, i) => today + i);
      const created = wanted.filter((day) => !names.has(partitionName(day)));
      // Held first: an event written between the move out of the default partition and the new one would forbid that.
      if (created.length > 0) await tx.$executeRaw`LOCK TABLE "Event" IN ACCESS EXCLUSIVE MODE`;
      for (const day of created) await createPartition(tx, day);
      const dropped = [...names].filter((name) => {
        const day = partitionDay(name);
        return day !== undefined && day < oldest;
      });
      for (const name of dropped) await tx.$executeRawUnsafe(`DROP TABLE "${name}"`);
      await tx.$executeRaw`DELETE FROM "Event_default" WHERE "createdAt" < ${new Date(oldest * dayMs)}`;
      return { created: created.map(partitionName), dropped };
    },
    { timeout: 60_000 },
  );
}

/** A day is counted from the epoch, in UTC. */
function partitionName(day: number): string {
  return `Event_${new Date(day * dayMs).toISOString().slice(0, 10).replaceAll('-', '_')}`;
}

function partitionDay(name: string): number | undefined {
  const match = /^Event_(\d{4})_(\d\d)_(\d\d)$/.exec(name);
  return match === null
    ? undefined
    : Date.UTC(Number(match[1]), Number(match[2]) - 1, Number(match[3])) / dayMs;
}

/** A new partition may not claim rows that the default one holds: they are taken out and put in again. */
async function createPartition(tx: Queryable, day: number): Promise<void> {
  const from = new Date(day * dayMs).toISOString();
  const to = new Date((day + 1) * dayMs).toISOString();
  const name = partitionName(day);
  await tx.$executeRawUnsafe('CREATE TEMPORARY TABLE moved (LIKE "Event") ON COMMIT DROP');
  await tx.$executeRawUnsafe(
    `WITH taken AS (DELETE FROM "Event_default" WHERE "createdAt" >= '${from}' AND "createdAt" < '${to}' RETURNING *)
     INSERT INTO moved SELECT * FROM taken`,
  );
  await tx.$executeRawUnsafe(
    `CREATE TABLE "${name}" PARTITION OF "Event" FOR VALUES FROM ('${from}') TO ('${to}')`,
  );
  await tx.$executeRawUnsafe('INSERT INTO "Event" SELECT * FROM moved');
  await tx.$executeRawUnsafe('DROP TABLE moved');
}
