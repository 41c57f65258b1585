import { execFile } from 'node:child_process';
import { mkdir, readlink, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test, vi } from 'vitest';
import { withLock } from './lock.ts';
import { temporaryDir } from './testing.ts';

const ignore = () => undefined;

test('one at a time, and the lock is gone afterwards, after a failure too', async () => {
  const lock = join(await temporaryDir(), 'lock');
  let inside = 0;
  let most = 0;
  const work = () =>
    withLock(lock, ignore, async () => {
      inside += 1;
      most = Math.max(most, inside);
      await new Promise((resolve) => setImmediate(resolve));
      inside -= 1;
    });
  await Promise.all([work(), work(), work()]);
  expect(most).toBe(1);
  await expect(withLock(lock, ignore, () => Promise.reject(new Error('failed')))).rejects.toThrow('failed');
  await expect(stat(lock)).rejects.toMatchObject({ code: 'ENOENT' });
});

test('takes over the lock of a process that died', async () => {
  const lock = join(await temporaryDir(), 'lock');
  const child = promisify(execFile)('true');
  await child;
  await mkdir(lock);
  const owner = { token: 'x', pid: child.child.pid, pidNamespace: await readlink('/proc/self/ns/pid') };
  await writeFile(join(lock, 'owner.json'), JSON.stringify(owner));
  const onWait = vi.fn();
  expect(await withLock(lock, onWait, async () => 'done')).toBe('done');
  expect(onWait).toHaveBeenCalledOnce();
});
