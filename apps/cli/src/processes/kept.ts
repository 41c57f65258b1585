/**
 * The server's processes, each kept alive by its own scripts/keep.sh. What is true is read from /proc each time; the pid
 * files only say where to look, so that a stale one never hits a stranger.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { contentHash } from '@rancher/domain';
import { Failure } from '../errors.ts';
import { type InstallationPaths, root } from '../paths.ts';

export interface KeptProcess {
  name: string;
  command: string[];
  env: Record<string, string>;
  /** Changes when its program does, so that `up` after an upgrade starts the new one. */
  build: string;
}

export interface ProcessState {
  name: string;
  /** Null: does not run. */
  pid: number | null;
  keeperPid: number | null;
}

/** How long a process may take to stop before keep.sh kills it is 20 s; this is a little more (ms). */
const stopWithinMs = 25_000;

function readPid(file: string): number | null {
  try {
    const pid = Number(readFileSync(file, 'utf8').trim());
    return Number.isInteger(pid) && pid > 1 ? pid : null;
  } catch {
    return null;
  }
}

function readProc(pid: number, file: string): string | null {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EACCES' ? '' : null;
  }
}

/** A zombie has ended: its keeper has only not looked yet. */
function alive(pid: number): boolean {
  const stat = readProc(pid, 'stat');
  return stat !== null && !/^\d+ \(.*\) [ZX] /s.test(stat);
}

const mark = (paths: InstallationPaths, name: string) => `RANCHER_KEPT_AS=${join(paths.run, name)}`;

/** Whether a pid is the process that is kept under this name; where that may not be read, the pid file is believed. */
function isOurs(paths: InstallationPaths, name: string, pid: number): boolean {
  if (!alive(pid)) return false;
  const environment = readProc(pid, 'environ');
  return environment === '' || (environment?.split('\0').includes(mark(paths, name)) ?? false);
}

export function processState(paths: InstallationPaths, name: string): ProcessState {
  const pid = readPid(join(paths.run, `${name}.pid`));
  const keeperPid = readPid(join(paths.run, `${name}.keep.pid`));
  return {
    name,
    pid: pid !== null && isOurs(paths, name, pid) ? pid : null,
    keeperPid: keeperPid !== null && isOurs(paths, name, keeperPid) ? keeperPid : null,
  };
}

const hashFile = (paths: InstallationPaths, name: string) => join(paths.run, `${name}.hash`);

/** Not of PATH and the like: they differ from shell to shell, and are no reason to restart anything. */
function hashOf({ command, env, build }: KeptProcess): string {
  const ours = Object.entries(env).filter(([name]) => /^(RANCHER_|DATABASE_URL$|REDIS_URL$)/.test(name));
  return contentHash({ command, env: Object.fromEntries(ours), build });
}

/**
 * Makes a process run as described: starts it, or restarts it when it runs as described differently before, or when its
 * keeper is gone. The pid is there once keep.sh has written it.
 */
export async function ensureRunning(
  paths: InstallationPaths,
  wanted: KeptProcess,
): Promise<'already running' | 'started' | 'restarted'> {
  const before = processState(paths, wanted.name);
  const hash = hashOf(wanted);
  const same = readText(hashFile(paths, wanted.name)) === hash;
  if (before.keeperPid !== null && same) return 'already running';
  if (before.keeperPid !== null || before.pid !== null) await stop(paths, wanted.name);
  mkdirSync(paths.run, { recursive: true });
  mkdirSync(paths.logs, { recursive: true });
  const keeper = spawn(
    '/bin/sh',
    [join(root, 'scripts/keep.sh'), wanted.name, paths.run, paths.logs, ...wanted.command],
    {
      // A session of its own: it outlives this command and its terminal.
      detached: true,
      stdio: 'ignore',
      cwd: '/',
      env: { ...wanted.env, RANCHER_KEPT_AS: join(paths.run, wanted.name) },
    },
  );
  keeper.unref();
  await waitFor(
    `${wanted.name} to be started`,
    10_000,
    () => processState(paths, wanted.name).keeperPid !== null,
  );
  writeFileSync(hashFile(paths, wanted.name), hash);
  return before.keeperPid === null && before.pid === null ? 'started' : 'restarted';
}

function readText(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}

/** Stops a process and its keeper, whichever of them is left. Returns whether there was any. */
export async function stop(paths: InstallationPaths, name: string): Promise<boolean> {
  const { pid, keeperPid } = processState(paths, name);
  const pids = [keeperPid, pid].filter((p) => p !== null);
  if (pids.length === 0) {
    forget(paths, name);
    return false;
  }
  signal(keeperPid ?? pid, 'SIGTERM');
  try {
    await waitFor(`${name} to stop`, stopWithinMs, () => !pids.some(alive));
  } catch {
    for (const p of pids) signal(p, 'SIGKILL');
    await waitFor(`${name} to be killed`, 5000, () => !pids.some(alive));
  }
  forget(paths, name);
  return true;
}

function forget(paths: InstallationPaths, name: string): void {
  for (const suffix of ['pid', 'keep.pid', 'hash'])
    rmSync(join(paths.run, `${name}.${suffix}`), { force: true });
}

function signal(pid: number | null, name: NodeJS.Signals): void {
  if (pid === null) return;
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** The last lines of a kept process's log: the answer to "why does it not come up". */
export function logTail(paths: InstallationPaths, name: string, lines = 8): string {
  const text = readText(join(paths.logs, `${name}.log`)) ?? '';
  return text.trimEnd().split('\n').slice(-lines).join('\n');
}

/** @throws Failure saying what was waited for when `ready` does not come true in time. */
export async function waitFor(
  what: string,
  withinMs: number,
  ready: () => boolean | Promise<boolean>,
  abort?: AbortSignal,
): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await ready())) {
    abort?.throwIfAborted();
    if (performance.now() > deadline) throw new Failure(`waited ${withinMs / 1000} s for ${what}`);
    await sleep(20);
  }
}
