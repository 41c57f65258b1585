import { execFileSync } from 'node:child_process';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startPostgres } from '@rancher/testing';
import { migrationsFolder } from './migrate.ts';
import { schemaDiff } from './schema-diff.ts';

/**
 * Writes the next migration: what brings the schema.prisma of the last commit to the one that is there now.
 *
 *     npm run migration -w @rancher/db -- <name>
 *
 * Read it before committing it. What schema.prisma cannot say (partitions, partial indexes) is added by hand, and named
 * in schema.test.ts.
 */
const name = process.argv[2];
if (name === undefined || !/^[a-z0-9_]+$/.test(name)) {
  process.stderr.write('usage: migration <name>, of a-z, 0-9 and _\n');
  process.exit(64);
}
const folder = migrationsFolder();
const schema = join(folder, '..', 'schema.prisma');
const before = execFileSync('git', ['show', 'HEAD:./schema.prisma'], {
  cwd: join(folder, '..'),
  encoding: 'utf8',
});
const postgres = await startPostgres({ migrated: false });
try {
  const sql = await schemaDiff(postgres.url, before, await readFile(schema, 'utf8'));
  const numbers = (await readdir(folder)).map((entry) => Number.parseInt(entry, 10)).filter(Number.isInteger);
  const next = join(folder, `${String(Math.max(0, ...numbers) + 1).padStart(4, '0')}_${name}`);
  await mkdir(next);
  await writeFile(join(next, 'migration.sql'), sql);
  process.stdout.write(`${join(next, 'migration.sql')}\n${sql}`);
} finally {
  await postgres.stop();
}
