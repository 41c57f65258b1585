import { existsSync, statfsSync } from 'node:fs';
import type { FullDisk } from '@rancher/domain';

/** Nearly full is less than both, so that neither a small disk nor a large one is called so too early. */
const leastShare = 0.05;
const leastBytes = 1024 ** 3;

/**
 * Of the file systems that these folders are on, the one with the least room, when it is nearly full.
 */
export function fullDisk(folders: Iterable<string>): FullDisk | undefined {
  let fullest: FullDisk | undefined;
  for (const path of new Set(folders)) {
    // A service's folders are made just before its start.
    if (!existsSync(path)) continue;
    const disk = roomOf(path);
    if (disk.freeBytes >= Math.min(leastBytes, disk.bytes * leastShare)) continue;
    if (fullest === undefined || disk.freeBytes < fullest.freeBytes) fullest = { path, ...disk };
  }
  return fullest;
}

/** Of the file system that a folder is on: its size, and what is free to anybody. @throws where there is no such folder */
export function roomOf(path: string): Omit<FullDisk, 'path'> {
  const disk = statfsSync(path);
  return { bytes: disk.blocks * disk.bsize, freeBytes: disk.bavail * disk.bsize };
}
