import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const mountPoint = '/sys/fs/cgroup';

export function cgroupVersion(): 1 | 2 {
  return existsSync(join(mountPoint, 'cgroup.controllers')) ? 2 : 1;
}

/** Folders that a cgroup of this path has: one for each hierarchy of v1, one alone in v2. */
function foldersOf(path: string): string[] {
  if (cgroupVersion() === 2) return [join(mountPoint, path)];
  return readdirSync(mountPoint).map((hierarchy) => join(mountPoint, hierarchy, path));
}

/** Makes a cgroup in every controller, usable at once: v1's cpuset starts empty, v2 delegates nothing by itself. */
export function makeCgroup(path: string): void {
  for (const folder of foldersOf(path)) {
    mkdirSync(folder, { recursive: true });
    for (const file of ['cpuset.cpus', 'cpuset.mems']) {
      if (cgroupVersion() === 1 && existsSync(join(folder, file))) {
        writeFileSync(join(folder, file), readFileSync(join(dirname(folder), file)));
      }
    }
    if (cgroupVersion() === 2) delegate(folder);
  }
}

function delegate(folder: string): void {
  const controllers = readFileSync(join(folder, 'cgroup.controllers'), 'utf8').trim().split(/\s+/);
  writeFileSync(join(folder, 'cgroup.subtree_control'), controllers.map((c) => `+${c}`).join(' '));
}

/** Removes a cgroup and all below it; waits up to 10 s for its last processes to be gone. */
export async function removeCgroup(path: string): Promise<void> {
  for (const folder of foldersOf(path)) {
    const deadline = Date.now() + 10_000;
    while (existsSync(folder)) {
      try {
        removeTree(folder);
      } catch (error) {
        if (Date.now() > deadline) throw error;
        await delay(50);
      }
    }
  }
}

function removeTree(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) removeTree(join(folder, entry.name));
  }
  rmdirSync(folder);
}
