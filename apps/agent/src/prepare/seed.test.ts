import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type SeedSpec, seedMarker, seedTarget } from '@rancher/domain';
import { until } from '@rancher/testing';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ensureSeed } from './seed.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'rancher-seed-'));
  mkdirSync(join(dir, 'old'));
  writeFileSync(join(dir, 'old/db'), 'what the survivor has');
});
afterEach(() => rmSync(dir, { recursive: true }));

const count = () => (existsSync(join(dir, 'count')) ? readFileSync(join(dir, 'count'), 'utf8').length : 0);

/** Copies the folder, and counts how often it was asked to. */
function seed(script = 'mkdir "$2/" && cp "$1/old/db" "$2/db"'): SeedSpec {
  return {
    path: join(dir, 'new'),
    from: join(dir, 'old'),
    command: ['/bin/sh', '-ec', `printf x >> "$1/count"; ${script}`, 'sh', dir, seedTarget],
  };
}
const made = () => readFileSync(join(dir, 'new/db'), 'utf8');

it('is made once, from what it comes from, which stays', async () => {
  await ensureSeed(seed());
  expect(made()).toBe('what the survivor has');
  writeFileSync(join(dir, 'new/db'), 'grown since');
  await ensureSeed(seed());
  expect([made(), count()]).toEqual(['grown since', 1]);
  expect(readFileSync(join(dir, 'old/db'), 'utf8')).toBe('what the survivor has');
});

it('is never made again, even where it is gone', async () => {
  await ensureSeed(seed());
  rmSync(join(dir, 'new'), { recursive: true });
  await expect(ensureSeed(seed())).rejects.toThrow('is not made again');
  expect([existsSync(join(dir, 'new')), count()]).toEqual([false, 1]);
});

it('is marked as made where a crash came between the two', async () => {
  await ensureSeed(seed());
  rmSync(seedMarker(seed().path));
  await ensureSeed(seed());
  rmSync(join(dir, 'new'), { recursive: true });
  await expect(ensureSeed(seed())).rejects.toThrow('is not made again');
  expect(count()).toBe(1);
});

it('is not there at all when its command fails, and is made anew', async () => {
  await expect(ensureSeed(seed('mkdir "$2"; echo half > "$2/db"; echo no room >&2; exit 1'))).rejects.toThrow(
    'no room',
  );
  expect(existsSync(join(dir, 'new'))).toBe(false);
  await ensureSeed(seed());
  expect(made()).toBe('what the survivor has');
  expect(readdirSync(dir).sort()).toEqual(['count', 'new', 'new.made', 'old']);
});

it('is made anew where the agent was killed at work, and what that left cannot get in its way', async () => {
  const left: ChildProcess = spawn(process.execPath, ['--input-type=module', '-e', killedAtWork()], {
    stdio: 'inherit',
  });
  await until('it is at work', () => readdirSync(dir).some((name) => name.startsWith('new.part-')));
  left.kill('SIGKILL');
  await once(left, 'exit');
  await ensureSeed(seed());
  writeFileSync(join(dir, 'go-on'), '');
  await until('what was left has ended', () => existsSync(join(dir, 'ended')));
  expect(made()).toBe('what the survivor has');
});

it('says what is missing', async () => {
  rmSync(join(dir, 'old'), { recursive: true });
  await expect(ensureSeed(seed())).rejects.toThrow(`${join(dir, 'old')} is not there`);
});

/** A program that makes the seed, by a command that waits half way and then writes something else. */
function killedAtWork(): string {
  const script =
    'trap "touch $1/ended" EXIT; mkdir "$2"; until [ -e "$1/go-on" ]; do sleep 0.05; done; (echo stale > "$2/db") 2>/dev/null || :';
  return `const { ensureSeed } = await import(${JSON.stringify(join(import.meta.dirname, 'seed.ts'))});
    await ensureSeed(${JSON.stringify(seed(script))});`;
}
