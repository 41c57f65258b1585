import { existsSync, statfsSync } from 'node:fs';
import type { FullDisk } from '@rancher/domain';

/** Nearly full is less than both, so that neither a small disk nor a large one is called so too early. */
const leastShare = 0.05;
const leastBytes = 1024 ** 3;

/**
 * Of the file systems that these folders are on, the one with the least room, when it is nearly full. Blocks
 * that are kept for root do not count as room.
 */
export function fullDisk(folders: Iterable<string>): FullDisk | undefined {
  let fullest: FullDisk | undefined;
  for (const path of new Set(folders)) {
    const disk = room(path);
    if (disk === undefined || disk.freeBytes >= Math.min(leastBytes, disk.bytes * leastShare)) continue;
    if (fullest === undefined || disk.freeBytes < fullest.freeBytes) fullest = { path, ...disk };
  }
  return fullest;
}

/** Undefined where there is no such folder (yet). */
function room(path: string): Omit<FullDisk, 'path'> | undefined {
  if (!existsSync(path)) return undefined;
  const disk = statfsSync(path);
  return { bytes: disk.blocks * disk.bsize, freeBytes: disk.bavail * disk.bsize };
}
