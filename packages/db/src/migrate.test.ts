import { cp, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startPostgres, type TestServer } from '@rancher/testing';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { migrate, migrationsFolder } from './migrate.ts';

let server: TestServer;
let folder: string;
let url: string;
let databases = 0;

beforeAll(async () => {
  server = await startPostgres({ migrated: false });
});
afterAll(() => server.stop());

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rancher-test-migrations-'));
  await cp(migrationsFolder(), folder, { recursive: true });
  const name = `test_${++databases}`;
  await ask(server.url, `CREATE DATABASE ${name}`);
  url = server.url.replace(/[^/]*$/, name);
});
afterEach(() => rm(folder, { recursive: true }));

async function ask(to: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: to });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

/** The migrations of this repository, in order. */
async function committed(): Promise<string[]> {
  const entries = await readdir(migrationsFolder(), { withFileTypes: true });
  return entries
    .filter((e) => e.isDirectory())
    .map((e) => e.name)
    .sort();
}

async function add(name: string, sql: string): Promise<void> {
  await mkdir(join(folder, name), { recursive: true });
  await writeFile(join(folder, name, 'migration.sql'), sql);
}

describe('migrate', () => {
  it('applies what is pending in order, once', async () => {
    expect(await migrate(url, folder)).toEqual(await committed());
    await add('9002_a', 'CREATE TABLE a (x int)');
    await add('9003_b', 'ALTER TABLE a ADD COLUMN y int');
    expect(await migrate(url, folder)).toEqual(['9002_a', '9003_b']);
    expect(await migrate(url, folder)).toEqual([]);
  });

  it('runs once when many processes start at the same time', async () => {
    const applied = await Promise.all(Array.from({ length: 8 }, () => migrate(url, folder)));
    expect(applied.flat()).toEqual(await committed());
  });

  it('leaves nothing behind when one fails, and says which', async () => {
    await add('9002_a', 'CREATE TABLE a (x int)');
    await add('9003_b', 'ALTER TABLE nothing ADD COLUMN y int');
    await expect(migrate(url, folder)).rejects.toThrow(/9003_b failed: relation "nothing" does not exist/);
    expect(await ask(url, "SELECT 1 FROM pg_tables WHERE schemaname = 'public'")).toEqual([]);
  });

  it('refuses a database that a newer version migrated', async () => {
    await add('9002_a', 'CREATE TABLE a (x int)');
    await migrate(url, folder);
    await rm(join(folder, '9002_a'), { recursive: true });
    await expect(migrate(url, folder)).rejects.toThrow(/newer version \(9002_a\)/);
  });

  it('refuses a migration that was changed after it was applied', async () => {
    await add('9002_a', 'CREATE TABLE a (x int)');
    await migrate(url, folder);
    await add('9002_a', 'CREATE TABLE a (x bigint)');
    await expect(migrate(url, folder)).rejects.toThrow(/9002_a was applied .* with other content/);
  });

  it('records what Prisma itself would', async () => {
    await migrate(url, folder);
    const [row] = await ask(url, 'SELECT * FROM _prisma_migrations');
    expect(row).toMatchObject({ migration_name: '0001_init', applied_steps_count: 1, rolled_back_at: null });
    expect(row?.checksum).toMatch(/^[0-9a-f]{64}$/);
  });
});
