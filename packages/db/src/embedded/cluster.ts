import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readFile, readlink, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Launcher } from './launch.ts';

/** User and database of the embedded Postgres. */
export const embeddedName = 'rancher';

/** The URL of the embedded Postgres kept in `dir`. The password is the one made at the first start. */
export async function embeddedPostgresUrl(options: { dir: string; port: number }): Promise<string> {
  const password = await readFile(join(options.dir, 'password'), 'utf8');
  return `postgres://${embeddedName}:${password}@127.0.0.1:${options.port}/${embeddedName}`;
}

/**
 * Makes the database cluster in `dir/data`, if there is none. It is made beside and renamed when whole, so that a crash
 * half-way leaves nothing that looks like one.
 */
export async function ensureCluster(dir: string, launcher: Launcher): Promise<void> {
  const data = join(dir, 'data');
  if (await exists(join(data, 'PG_VERSION'))) return;
  const passwordFile = join(dir, 'password');
  if (!(await exists(passwordFile))) {
    await writeFile(passwordFile, randomBytes(24).toString('base64url'), { mode: 0o600, flush: true });
  }
  // A folder that Postgres may write in, and a copy of the password that it may read; both go.
  const fresh = join(dir, 'fresh');
  await rm(fresh, { recursive: true, force: true });
  await mkdir(fresh, { mode: 0o700 });
  await writeFile(join(fresh, 'password'), await readFile(passwordFile, 'utf8'), { mode: 0o600 });
  await launcher.give(join(fresh, 'password'));
  await launcher.give(fresh);
  const at = join(launcher.seenDir, 'fresh');
  await initialise(launcher, join(at, 'data'), join(at, 'password'));
  await rm(data, { recursive: true, force: true });
  await rename(join(fresh, 'data'), data);
  await rm(fresh, { recursive: true, force: true });
}

async function initialise(launcher: Launcher, data: string, passwordFile: string): Promise<void> {
  const child = launcher.launch('initdb', [
    `--pgdata=${data}`,
    `--username=${embeddedName}`,
    '--auth=scram-sha-256',
    `--pwfile=${passwordFile}`,
    '--encoding=UTF8',
    '--locale=C',
    // Postgres' own, so that nothing depends on the machine's locales.
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
    '--no-instructions',
  ]);
  let said = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-4000);
  });
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`initdb failed (exit code ${code}): ${said.trim()}`);
}

/** How long a Postgres whose parent was killed gets to shut down by itself (ms); then it is made to. */
const orphanGraceMs = 10_000;

/**
 * Sees to it that no Postgres runs on `dir/data`, and that a pid file left by a killed one does not stand in the way.
 * One whose parent was killed is on its way down by itself (see launch.ts): it is waited for.
 * @throws Error when another process runs it
 */
export async function clearStale(dir: string): Promise<void> {
  const data = join(dir, 'data');
  const pidFile = join(data, 'postmaster.pid');
  const pid = Number.parseInt(await readFile(pidFile, 'utf8').catch(() => ''), 10);
  if (Number.isNaN(pid)) return;
  for (let waitedMs = 0; await runsIn(pid, data); waitedMs += 50) {
    const owner = await ownerOf(pid);
    if (owner !== undefined)
      throw new Error(`Process ${owner} already runs a Postgres (pid ${pid}) on ${data}.`);
    // Without a checkpoint; it is recovered from its log at the next start.
    if (waitedMs >= orphanGraceMs) process.kill(pid, waitedMs < 2 * orphanGraceMs ? 'SIGQUIT' : 'SIGKILL');
    await delay(50);
  }
  await rm(pidFile, { force: true });
}

/** The process that started Postgres `pid`, while it lives: a Node, as this one is. */
async function ownerOf(pid: number): Promise<number | undefined> {
  try {
    // The parent is the second field after the name, which is in brackets and may hold anything.
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
    return (await readlink(`/proc/${parent}/exe`)) === (await readlink('/proc/self/exe'))
      ? parent
      : undefined;
  } catch {
    return undefined;
  }
}

/** Whether process `pid` is a Postgres whose working folder is `data`: a pid alone may have been used again. */
async function runsIn(pid: number, data: string): Promise<boolean> {
  try {
    const [cwd, folder] = await Promise.all([stat(`/proc/${pid}/cwd`), stat(data)]);
    const program = await readlink(`/proc/${pid}/exe`);
    return cwd.dev === folder.dev && cwd.ino === folder.ino && program.endsWith('/postgres');
  } catch {
    return false;
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
