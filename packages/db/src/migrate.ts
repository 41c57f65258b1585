import { createHash, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import pg from 'pg';
import { advisoryLocks } from './locks.ts';

/** As Prisma makes it, so that `prisma migrate status` and its other tools understand the database. */
const historyTable = `
CREATE TABLE IF NOT EXISTS _prisma_migrations (
  id VARCHAR(36) PRIMARY KEY NOT NULL,
  checksum VARCHAR(64) NOT NULL,
  finished_at TIMESTAMPTZ,
  migration_name VARCHAR(255) NOT NULL,
  logs TEXT,
  rolled_back_at TIMESTAMPTZ,
  started_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  applied_steps_count INTEGER NOT NULL DEFAULT 0
)`;

interface Migration {
  name: string;
  sql: string;
  checksum: string;
}

/**
 * Brings the database to the newest migration of prisma/migrations. Safe to run at any time from any number of
 * processes. All of it is one transaction: it happens wholly or not at all.
 *
 * Prisma's own ways want a downloaded engine, or 20 MB of WebAssembly in the server; reading files and running them in
 * order is all that is left of them here. Tests use the WebAssembly to hold the files against the schema.
 *
 * @returns names of the migrations that were applied now
 * @throws Error when an applied migration was changed afterwards, or the database is newer than this program
 */
export async function migrate(url: string, folder: string = migrationsFolder()): Promise<string[]> {
  const migrations = await readMigrations(folder);
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query('BEGIN');
    await client.query('SELECT pg_advisory_xact_lock($1)', [advisoryLocks.migrate]);
    await client.query(historyTable);
    const applied = await client.query<{ migration_name: string; checksum: string }>(
      'SELECT migration_name, checksum FROM _prisma_migrations WHERE rolled_back_at IS NULL',
    );
    const pending = pendingMigrations(
      migrations,
      new Map(applied.rows.map((r) => [r.migration_name, r.checksum])),
    );
    for (const migration of pending) await apply(client, migration);
    await client.query('COMMIT');
    return pending.map((m) => m.name);
  } finally {
    // Without COMMIT before, ending the connection rolls back.
    await client.end();
  }
}

function pendingMigrations(migrations: Migration[], applied: Map<string, string>): Migration[] {
  const known = new Set(migrations.map((m) => m.name));
  const newer = [...applied.keys()].filter((name) => !known.has(name));
  if (newer.length > 0) {
    throw new Error(
      `The database was migrated by a newer version (${newer.join(', ')}); run that version or later.`,
    );
  }
  for (const { name, checksum } of migrations) {
    const before = applied.get(name);
    if (before !== undefined && before !== checksum) {
      throw new Error(`Migration ${name} was applied to the database with other content than it has now.`);
    }
  }
  return migrations.filter((m) => !applied.has(m.name));
}

async function apply(client: pg.Client, migration: Migration): Promise<void> {
  try {
    await client.query(migration.sql);
  } catch (cause) {
    throw new Error(`Migration ${migration.name} failed: ${(cause as Error).message}`, { cause });
  }
  await client.query(
    `INSERT INTO _prisma_migrations (id, checksum, migration_name, finished_at, applied_steps_count)
     VALUES ($1, $2, $3, now(), 1)`,
    [randomUUID(), migration.checksum, migration.name],
  );
}

async function readMigrations(folder: string): Promise<Migration[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const names = entries.filter((e) => e.isDirectory()).map((e) => e.name);
  return Promise.all(
    names.sort().map(async (name) => {
      const sql = await readFile(join(folder, name, 'migration.sql'), 'utf8');
      return { name, sql, checksum: createHash('sha256').update(sql).digest('hex') };
    }),
  );
}

/** prisma/migrations of the repository, from the sources and from an app's bundle alike. */
export function migrationsFolder(): string {
  for (let at = import.meta.dirname; ; at = dirname(at)) {
    const folder = join(at, 'prisma', 'migrations');
    if (existsSync(folder)) return folder;
    if (at === dirname(at)) throw new Error(`There is no prisma/migrations above ${import.meta.dirname}.`);
  }
}
