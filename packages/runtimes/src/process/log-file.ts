import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { copyFile, rename, stat, truncate } from 'node:fs/promises';

/**
 * Bounds a log that programs append to: when it is larger than `maxBytes`, it is copied aside and truncated (they keep
 * it open, so it cannot be renamed). `keep` old ones stay as `<path>.1` …; lines written in between may be lost.
 */
export async function rotateLog(path: string, maxBytes: number, keep: number): Promise<void> {
  const size = await stat(path).then(
    (s) => s.size,
    () => 0,
  );
  if (size <= maxBytes) return;
  try {
    for (let n = keep - 1; n >= 1; n--) await rename(`${path}.${n}`, `${path}.${n + 1}`).catch(() => {});
    await copyFile(path, `${path}.1`);
  } finally {
    // Also when the copy failed: a log must not be what fills the disk.
    await truncate(path, 0);
  }
}

/** The last lines of a log, oldest first, read from its last 64 KiB; none when there is no log. */
export function tailLog(path: string, lines: number): string[] {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch {
    return [];
  }
  try {
    const { size } = fstatSync(fd);
    const length = Math.min(size, 65_536);
    const buffer = Buffer.alloc(length);
    readSync(fd, buffer, 0, length, size - length);
    const all = buffer.toString('utf8').split('\n');
    if (all.at(-1) === '') all.pop();
    if (length < size) all.shift();
    return all.slice(-lines);
  } finally {
    closeSync(fd);
  }
}
