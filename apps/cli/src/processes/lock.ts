import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { Failure } from '../errors.ts';

/**
 * Lets one `up` or `down` at a time work on an installation. A lock whose holder is gone counts for nothing.
 * @throws Failure naming the holder.
 */
export function takeLock(file: string): Disposable {
  mkdirSync(dirname(file), { recursive: true });
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      writeFileSync(file, String(process.pid), { flag: 'wx' });
      return { [Symbol.dispose]: () => rmSync(file, { force: true }) };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      const holder = Number(readFileSync(file, 'utf8'));
      if (isRancher(holder))
        throw new Failure(`another up or down (pid ${holder}) is at work on this installation`);
      rmSync(file, { force: true });
    }
  }
  throw new Failure(`${file} cannot be taken`);
}

function isRancher(pid: number): boolean {
  try {
    return pid !== process.pid && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('/cli/');
  } catch {
    return false;
  }
}
