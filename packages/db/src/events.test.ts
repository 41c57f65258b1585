import type { EventInput } from '@rancher/domain';
import { startPostgres, type TestServer } from '@rancher/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { maintainEventPartitions, recordEvents } from './events.ts';
import { listen } from './listen.ts';
import { type Database, openDatabase } from './open.ts';

const dayMs = 24 * 60 * 60 * 1000;
let server: TestServer;
let db: Database;

beforeAll(async () => {
  server = await startPostgres();
  db = openDatabase({ url: server.url, maxConnections: 10 });
});
afterEach(() => db.prisma.event.deleteMany());
afterAll(async () => {
  await db.close();
  await server.stop();
});

function event(message: string): EventInput {
  return {
    environmentId: 'env_1',
    regarding: { kind: 'Instance', id: 'ins_1', name: 'etcd' },
    type: 'Warning',
    reason: 'InstanceExited',
    message,
    data: { durationMs: 812 },
  };
}

async function partitions(): Promise<string[]> {
  const rows = await db.prisma.$queryRaw<{ name: string }[]>`
    SELECT relname AS name FROM pg_inherits JOIN pg_class ON oid = inhrelid
    WHERE inhparent = '"Event"'::regclass ORDER BY relname`;
  return rows.map((row) => row.name);
}

describe('recordEvents', () => {
  it('keeps all fields and the order', async () => {
    const ids = await recordEvents(db.prisma, [
      event('first'),
      { ...event('second'), hostId: 'host_1', data: {} },
    ]);
    const rows = await db.prisma.event.findMany({ orderBy: { id: 'asc' } });
    expect(rows.map((row) => row.id)).toEqual(ids);
    expect(rows[0]).toMatchObject({ ...event('first'), hostId: null });
    expect(rows[1]).toMatchObject({ message: 'second', hostId: 'host_1' });
    expect(Math.abs(Date.now() - (rows[0]?.createdAt.getTime() ?? 0))).toBeLessThan(60_000);
  });

  it('does nothing for none', async () => {
    expect(await recordEvents(db.prisma, [])).toEqual([]);
  });

  it('notifies each id when the transaction commits, and not when it does not', async () => {
    const heard: string[] = [];
    const listener = await listen(server.url, ['rancher_event'], (_channel, payload) => heard.push(payload));
    const lost = db.prisma.$transaction(async (tx) => {
      await recordEvents(tx, [event('rolled back')]);
      throw new Error('no');
    });
    await expect(lost).rejects.toThrow('no');
    const ids = await db.prisma.$transaction((tx) => recordEvents(tx, [event('a'), event('b')]));
    await expect.poll(() => heard).toEqual(ids.map(String));
    await listener.close();
  });

  it('shows ids in ascending order, so that a reader after the last one misses none', async () => {
    const writing = Promise.all(
      Array.from({ length: 20 }, async (_, writer) => {
        for (let i = 0; i < 10; i++) {
          // Some transactions take longer than others between the insert and the commit.
          await db.prisma.$transaction(
            async (tx) => {
              await recordEvents(tx, [event(`${writer}-${i}`)]);
              await tx.$executeRaw`SELECT pg_sleep(${(writer % 3) / 1000})`;
            },
            { maxWait: 30_000, timeout: 30_000 },
          );
        }
      }),
    );
    let last = 0n;
    const seen: string[] = [];
    while (seen.length < 200) {
      const rows = await db.prisma.event.findMany({ where: { id: { gt: last } }, orderBy: { id: 'asc' } });
      for (const row of rows) seen.push(row.message);
      last = rows.at(-1)?.id ?? last;
    }
    await writing;
    expect(new Set(seen).size).toBe(200);
  });
});

describe('maintainEventPartitions', () => {
  it('makes them while events are written, and loses none', async () => {
    let done = false;
    const writers = Array.from({ length: 4 }, async (_, writer) => {
      let written = 0;
      for (; !done; written++) await recordEvents(db.prisma, [event(`${writer}-${written}`)]);
      return written;
    });
    await maintainEventPartitions(db.prisma, { keepDays: 7 });
    done = true;
    const written = (await Promise.all(writers)).reduce((a, b) => a + b, 0);
    expect(await db.prisma.event.count()).toBe(written);
  });

  it('makes those of the next days, once, however many ask', async () => {
    const now = new Date('2031-02-27T23:59:00Z');
    const all = await Promise.all(
      Array.from({ length: 4 }, () => maintainEventPartitions(db.prisma, { keepDays: 7 }, now)),
    );
    expect(all.flatMap((r) => r.created).sort()).toEqual([
      'Event_2031_02_27',
      'Event_2031_02_28',
      'Event_2031_03_01',
      'Event_2031_03_02',
    ]);
  });

  it('takes events out of the default partition', async () => {
    const createdAt = new Date('2032-05-05T12:00:00Z');
    await recordEvents(db.prisma, [event('early')]);
    await db.prisma.event.updateMany({ data: { createdAt } });
    await maintainEventPartitions(db.prisma, { keepDays: 7 }, createdAt);
    const [row] = await db.prisma.$queryRaw<
      { name: string }[]
    >`SELECT tableoid::regclass::text AS name FROM "Event"`;
    expect(row?.name).toBe('"Event_2032_05_05"');
  });

  it('drops days whose every event is older than what is kept', async () => {
    const day = new Date('2033-01-10T00:30:00Z');
    await maintainEventPartitions(db.prisma, { keepDays: 2 }, day);
    await recordEvents(db.prisma, [event('old'), event('new')]);
    await db.prisma.event.updateMany({ where: { message: 'old' }, data: { createdAt: day } });
    await db.prisma.event.updateMany({
      where: { message: 'new' },
      data: { createdAt: new Date(day.getTime() + dayMs) },
    });
    const later = await maintainEventPartitions(
      db.prisma,
      { keepDays: 2 },
      new Date(day.getTime() + 3 * dayMs),
    );
    expect(later.dropped).toContain('Event_2033_01_10');
    expect(await partitions()).toEqual(
      expect.arrayContaining(['Event_2033_01_11', 'Event_2033_01_16', 'Event_default']),
    );
    expect((await db.prisma.event.findMany()).map((row) => row.message)).toEqual(['new']);
  });
});
