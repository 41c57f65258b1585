/** Protects the promise that a killed server process comes back, and that `down` stops it for good. Real processes. */
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { installationPaths } from '../paths.ts';
import { ensureRunning, type KeptProcess, logTail, processState, stop, waitFor } from './kept.ts';

let home: string;
let paths: ReturnType<typeof installationPaths>;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'rancher-kept-'));
  paths = installationPaths(home);
});
afterEach(async () => {
  await stop(paths, 'probe');
  rmSync(home, { recursive: true, force: true });
});

const probe = (script: string): KeptProcess => ({
  name: 'probe',
  command: ['/bin/sh', '-c', script],
  env: { PATH: process.env.PATH ?? '' },
  build: '1',
});
const forever = probe('echo here; exec sleep 1000');

async function pid(other?: number | null): Promise<number> {
  await waitFor('the process', 10_000, () => {
    const now = processState(paths, 'probe').pid;
    return now !== null && now !== other;
  });
  return processState(paths, 'probe').pid!;
}

const gone = (p: number) => waitFor(`${p} to be gone`, 10_000, () => !existsSync(`/proc/${p}`));

test('a process that is killed is started again', async () => {
  expect(await ensureRunning(paths, forever)).toBe('started');
  const first = await pid();
  process.kill(first, 'SIGKILL');
  const second = await pid(first);
  process.kill(second, 'SIGKILL');
  await pid(second);
  expect(readFileSync(join(paths.logs, 'probe.log'), 'utf8')).toMatch(
    /ended with status 137.*starts again in 0\.2 s/,
  );
});

test('what runs as wanted is left alone; what runs differently is restarted', async () => {
  await ensureRunning(paths, forever);
  const first = await pid();
  expect(await ensureRunning(paths, forever)).toBe('already running');
  expect(await pid()).toBe(first);
  const elsewhere = { ...forever, env: { ...forever.env, LANG: 'C' } };
  expect(await ensureRunning(paths, elsewhere)).toBe('already running');
  expect(await ensureRunning(paths, { ...forever, build: '2' })).toBe('restarted');
  expect(await pid()).not.toBe(first);
  await gone(first);
});

test('stop ends the process and its keeper, once and for all', async () => {
  await ensureRunning(paths, forever);
  await pid();
  const { keeperPid } = processState(paths, 'probe');
  expect(await stop(paths, 'probe')).toBe(true);
  await gone(keeperPid!);
  expect(processState(paths, 'probe')).toEqual({ name: 'probe', pid: null, keeperPid: null });
  expect(await stop(paths, 'probe')).toBe(false);
});

test('stop lets a process end in its own way, and waits for it', async () => {
  await ensureRunning(
    paths,
    probe(`trap 'echo bye >${home}/bye; exit 0' TERM; echo up >${home}/up; while :; do sleep 0.05; done`),
  );
  await waitFor('its trap', 10_000, () => existsSync(join(home, 'up')));
  await stop(paths, 'probe');
  expect(readFileSync(join(home, 'bye'), 'utf8')).toBe('bye\n');
});

test('a process whose keeper was killed is replaced by a kept one', async () => {
  await ensureRunning(paths, forever);
  const orphan = await pid();
  process.kill(processState(paths, 'probe').keeperPid!, 'SIGKILL');
  await waitFor('the keeper to be gone', 10_000, () => processState(paths, 'probe').keeperPid === null);
  expect(await ensureRunning(paths, forever)).toBe('restarted');
  await gone(orphan);
  expect(await pid()).not.toBe(orphan);
});

test('a pid file that names a stranger is not believed', async () => {
  await ensureRunning(paths, forever);
  await pid();
  await stop(paths, 'probe');
  writeFileSync(join(paths.run, 'probe.pid'), String(process.pid));
  writeFileSync(join(paths.run, 'probe.keep.pid'), String(process.pid));
  expect(processState(paths, 'probe')).toEqual({ name: 'probe', pid: null, keeperPid: null });
  expect(await stop(paths, 'probe')).toBe(false);
});

test('the log is there to be read, and does not grow without bound', async () => {
  await ensureRunning(paths, forever);
  await waitFor('its output', 10_000, () => logTail(paths, 'probe').includes('here'));
  // As big as it may be: at the next start it is set aside.
  appendFileSync(join(paths.logs, 'probe.log'), Buffer.alloc(11 << 20, 'x\n'));
  process.kill(await pid(), 'SIGKILL');
  await waitFor('the log to be set aside', 10_000, () => existsSync(join(paths.logs, 'probe.log.1')));
});
