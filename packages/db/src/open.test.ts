import { startPostgres, type TestServer, until } from '@rancher/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Database, openDatabase } from './open.ts';

let server: TestServer;
let db: Database;
const errors: string[] = [];

beforeAll(async () => {
  server = await startPostgres();
  db = openDatabase({ url: server.url, maxConnections: 1, onError: (error) => errors.push(error.message) });
});
afterAll(async () => {
  await db.close();
  await server.stop();
});

const setting = (name: string, value: object) => ({
  where: { name },
  update: { value },
  create: { name, value },
});

describe('openDatabase', () => {
  it('keeps times as they are, whatever the time zone of the session', async () => {
    const at = new Date('2031-03-30T01:30:00.123Z');
    await db.prisma.$executeRaw`SET TimeZone = 'America/New_York'`;
    await db.prisma.idempotencyKey.create({
      data: { key: 'k', principal: 'p', request: 'r', createdAt: at },
    });
    const [raw] = await db.prisma.$queryRaw<{ createdAt: Date }[]>`SELECT "createdAt" FROM "IdempotencyKey"`;
    const row = await db.prisma.idempotencyKey.findFirstOrThrow();
    expect([raw?.createdAt, row.createdAt]).toEqual([at, at]);
  });

  it('keeps what comes again prepared, within a bound', async () => {
    for (let i = 0; i < 20; i++) await db.prisma.setting.findMany({ where: { name: `n${i}` } });
    for (let i = 1; i <= 300; i++) {
      const name = { in: Array.from({ length: i }, (_, n) => `n${n}`) };
      await db.prisma.setting.findMany({ where: { name } });
    }
    const [count] = await db.prisma.$queryRaw<
      { n: bigint }[]
    >`SELECT count(*) AS n FROM pg_prepared_statements`;
    expect(Number(count?.n)).toBeGreaterThan(100);
    expect(Number(count?.n)).toBeLessThanOrEqual(200);
  });

  it('goes on after a column was added and after the server was away', async () => {
    await db.prisma.setting.upsert(setting('a', { n: 1 }));
    await db.prisma.$executeRaw`ALTER TABLE "Setting" ADD COLUMN later int`;
    expect(await db.prisma.setting.findUnique({ where: { name: 'a' } })).toMatchObject({ value: { n: 1 } });
    await server.kill();
    await expect(db.prisma.setting.findMany()).rejects.toThrow();
    await server.resume();
    await until('it connects again', () => db.prisma.setting.upsert(setting('a', { n: 2 })));
    expect(await db.prisma.setting.findUnique({ where: { name: 'a' } })).toMatchObject({ value: { n: 2 } });
    expect(errors.length).toBeGreaterThan(0);
  });

  it('says at once that nothing answers', async () => {
    const nowhere = openDatabase({ url: 'postgres://x:y@127.0.0.1:1/x' });
    await expect(nowhere.prisma.setting.findMany()).rejects.toThrow(/reach database server/);
    await nowhere.close();
  });
});
