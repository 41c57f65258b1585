import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startPostgres, type TestServer } from '@rancher/testing';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { migrationsFolder } from './migrate.ts';
import { schemaDiff } from './schema-diff.ts';

/** What the migrations make that schema.prisma cannot say. */
const byHand = {
  tables: ['_prisma_migrations', 'Event_default'],
  indexes: ['Environment_name_live_key', 'Host_environmentId_name_live_key'],
};

let server: TestServer;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());

interface Catalogue {
  columns: string[];
  indexes: string[];
  constraints: string[];
}

/** All that Prisma relies on, as text that is equal when the meaning is. */
async function catalogue(client: pg.Client): Promise<Catalogue> {
  const lines = async (sql: string): Promise<string[]> =>
    (await client.query<{ line: string }>(sql, [byHand.tables])).rows.map((row) => row.line).sort();
  return {
    columns: await lines(`
      SELECT table_name || '.' || column_name || ' ' || udt_name || coalesce('(' || datetime_precision || ')', '')
        || ' ' || is_nullable || ' ' || coalesce(column_default, '') AS line
      FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> ALL ($1)`),
    // "ON ONLY" is how an index of a partitioned table is printed.
    indexes: (
      await lines(`
      SELECT replace(indexdef, ' ON ONLY ', ' ON ') AS line
      FROM pg_indexes WHERE schemaname = 'public' AND tablename <> ALL ($1)`)
    ).filter((line) => !byHand.indexes.some((name) => line.includes(`"${name}"`))),
    constraints: await lines(`
      SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) AS line
      FROM pg_constraint WHERE connamespace = 'public'::regnamespace
        AND trim(both '"' from conrelid::regclass::text) <> ALL ($1)`),
  };
}

it('is the same by the migrations as by schema.prisma', async () => {
  const client = new pg.Client({ connectionString: server.url });
  await client.connect();
  try {
    const migrated = await catalogue(client);
    const schema = await readFile(join(migrationsFolder(), '..', 'schema.prisma'), 'utf8');
    const sql = await schemaDiff(server.url, '', schema);
    await client.query('DROP SCHEMA public CASCADE; CREATE SCHEMA public');
    await client.query(sql);
    expect(migrated).toEqual(await catalogue(client));
  } finally {
    await client.end();
  }
});
