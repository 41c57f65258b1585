import { randomUUID } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { type SeedSpec, seedMarker, seedTarget } from '@rancher/domain';
import { run } from '../run.ts';

/**
 * Makes a folder of data once. A crash at any point leaves it as a whole or not at all: it is made beside its place, moved
 * there when all of it is on disk, and only then marked as made. Until it is in its place it is made anew, from what it
 * comes from, which nobody has changed; from then on never again.
 * @throws Error in the command's words, or where the folder was made before and is gone
 */
export async function ensureSeed({ path, from, command }: SeedSpec): Promise<void> {
  const marker = seedMarker(path);
  if (existsSync(path)) {
    if (!existsSync(marker)) mark(marker, from);
    return;
  }
  if (existsSync(marker))
    throw new Error(
      `${path} is gone: it was made from ${from} once, and is not made again, as that is older than what was written since`,
    );
  if (!existsSync(from)) throw new Error(`${from} is not there, so ${path} cannot be made from it`);
  const target = freshTarget(path);
  const [file, ...args] = command.map((argument) => argument.replace(seedTarget, target));
  await run(file!, args);
  syncTree(target);
  renameSync(target, path);
  sync(dirname(path));
  mark(marker, from);
}

/** A name that nobody has, not even what an agent that was killed has left at work. */
function freshTarget(path: string): string {
  const folder = dirname(path);
  const prefix = `${basename(path)}.part-`;
  mkdirSync(folder, { recursive: true });
  for (const name of readdirSync(folder))
    if (name.startsWith(prefix)) rmSync(join(folder, name), { recursive: true, force: true });
  return join(folder, `${prefix}${randomUUID()}`);
}

function mark(marker: string, from: string): void {
  writeFileSync(marker, `${new Date().toISOString()} ${from}\n`, { mode: 0o600 });
  sync(marker);
  sync(dirname(marker));
}

function syncTree(path: string): void {
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    const below = join(path, entry.name);
    if (entry.isDirectory()) syncTree(below);
    else sync(below);
  }
  sync(path);
}

function sync(path: string): void {
  const file = openSync(path, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
