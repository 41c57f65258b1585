import { randomUUID } from 'node:crypto';
import { mkdir, readFile, readlink, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const heartbeatMs = 5_000;
const staleAfterMs = 60_000;
const pollMs = 200;

interface Owner {
  token: string;
  pid: number;
  /** The process ids' namespace that `pid` belongs to: in another one the same number means nothing. */
  pidNamespace: string;
}

/**
 * Runs `work` while holding the lock `dir` against every process that sees this folder, containers included. The lock is
 * a directory, since making one is atomic on every file system. A lock whose owner is dead, or which nobody has touched
 * for a minute, is taken over. `onWait` is called once if another process holds it.
 */
export async function withLock<T>(dir: string, onWait: () => void, work: () => Promise<T>): Promise<T> {
  const owner: Owner = { token: randomUUID(), pid: process.pid, pidNamespace: await pidNamespace() };
  let waiting = false;
  while (!(await acquire(dir, owner))) {
    if (!waiting) onWait();
    waiting = true;
    if (!(await breakIfStale(dir, owner))) await sleep(pollMs);
  }
  const heartbeat = setInterval(() => {
    const now = new Date();
    utimes(dir, now, now).catch(() => undefined);
  }, heartbeatMs);
  heartbeat.unref();
  try {
    return await work();
  } finally {
    clearInterval(heartbeat);
    if ((await readOwner(dir))?.token === owner.token) await rm(dir, { recursive: true, force: true });
  }
}

/** Prepares the lock beside and renames it into place, so that nobody sees one without its owner. */
async function acquire(dir: string, owner: Owner): Promise<boolean> {
  const mine = `${dir}.${owner.token}`;
  await mkdir(mine, { recursive: true });
  await writeFile(join(mine, 'owner.json'), JSON.stringify(owner));
  try {
    await rename(mine, dir);
    return true;
  } catch (error) {
    await rm(mine, { recursive: true, force: true });
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOTEMPTY' || code === 'EEXIST') return false;
    throw error;
  }
}

async function breakIfStale(dir: string, me: Owner): Promise<boolean> {
  const holder = await readOwner(dir);
  const touched = await stat(dir).then(
    (s) => s.mtimeMs,
    () => Date.now(),
  );
  const dead = holder !== null && holder.pidNamespace === me.pidNamespace && !isAlive(holder.pid);
  if (!dead && Date.now() - touched < staleAfterMs) return false;
  const aside = `${dir}.stale-${randomUUID()}`;
  try {
    await rename(dir, aside);
  } catch {
    return true;
  }
  const taken = await readOwner(aside);
  if (holder !== null && taken?.token !== holder.token) {
    // Another process broke the same stale lock first and this is its new one: give it back.
    await rename(aside, dir).catch(() => undefined);
    return false;
  }
  await rm(aside, { recursive: true, force: true });
  return true;
}

async function readOwner(dir: string): Promise<Owner | null> {
  try {
    return JSON.parse(await readFile(join(dir, 'owner.json'), 'utf8')) as Owner;
  } catch {
    return null;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function pidNamespace(): Promise<string> {
  return readlink('/proc/self/ns/pid').catch(() => 'unknown');
}
