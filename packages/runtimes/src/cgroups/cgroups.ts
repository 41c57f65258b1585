import { mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type CgroupHierarchies, cgroupHierarchies } from './hierarchies.ts';

export { type CgroupHierarchies, cgroupHierarchies, parseHierarchies } from './hierarchies.ts';

/**
 * A cgroup here is a path below the root of every hierarchy, such as `/rancher-1a2b/host/etcd`: on v1 it is a folder in
 * each controller, on v2 a single one. Written for both; which one it is, is detected.
 */

/** Where a process writes its id to join: one file on v2, one for each controller on v1. */
export function cgroupProcsFiles(path: string, hierarchies = cgroupHierarchies()): string[] {
  return hierarchies.mountPoints.map((root) => join(root, path, 'cgroup.procs'));
}

/** Makes a cgroup and those above it, ready to be joined. Idempotent. */
export function makeCgroup(path: string, hierarchies = cgroupHierarchies()): void {
  const parts = path.split('/').filter((p) => p !== '');
  for (const root of hierarchies.mountPoints) {
    let folder = root;
    for (const part of parts) {
      if (hierarchies.version === 2) delegateControllers(folder);
      const parent = folder;
      folder = join(folder, part);
      mkdirSync(folder, { recursive: true });
      if (hierarchies.version === 1) inheritCpuset(parent, folder);
    }
  }
}

/** Ids of all processes in a cgroup and below it. */
export function cgroupProcesses(path: string, hierarchies = cgroupHierarchies()): number[] {
  const pids = new Set<number>();
  for (const folder of folders(path, hierarchies)) {
    for (const line of read(join(folder, 'cgroup.procs')).split('\n')) {
      // 0: a process of another pid namespace, which a signal from here cannot reach.
      if (line !== '' && line !== '0') pids.add(Number(line));
    }
  }
  return [...pids];
}

/** Removes an empty cgroup and those below it. @throws Error EBUSY while a process is in it. */
export function removeCgroup(path: string, hierarchies = cgroupHierarchies()): void {
  for (const folder of folders(path, hierarchies)) {
    try {
      rmdirSync(folder);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
}

/** Whether the cgroup is there in any hierarchy. */
export function cgroupExists(path: string, hierarchies = cgroupHierarchies()): boolean {
  return folders(path, hierarchies).length > 0;
}

/** Every folder of a cgroup, children before their parents. */
function folders(path: string, hierarchies: CgroupHierarchies): string[] {
  const { mountPoints, unified } = hierarchies;
  return [...mountPoints, ...(unified === undefined ? [] : [unified])].flatMap((root) =>
    deepestFirst(join(root, path)),
  );
}

function deepestFirst(folder: string): string[] {
  try {
    const children = readdirSync(folder, { withFileTypes: true }).filter((e) => e.isDirectory());
    return [...children.flatMap((c) => deepestFirst(join(folder, c.name))), folder];
  } catch {
    return [];
  }
}

/** v2: children have only the controllers that their parent passes on. One that cannot be passed on is left out. */
function delegateControllers(folder: string): void {
  const enabled = read(join(folder, 'cgroup.subtree_control')).trim().split(' ');
  for (const controller of read(join(folder, 'cgroup.controllers')).trim().split(' ')) {
    if (controller === '' || enabled.includes(controller)) continue;
    try {
      writeFileSync(join(folder, 'cgroup.subtree_control'), `+${controller}`);
    } catch {
      // Such as cpu with real-time processes outside the root; the host works without.
    }
  }
}

/** v1: a new cpuset has no processor and no memory node, and cannot be joined until it has. */
function inheritCpuset(parent: string, folder: string): void {
  for (const file of ['cpuset.cpus', 'cpuset.mems']) {
    const own = read(join(folder, file));
    if (own === '' || own.trim() !== '') continue;
    writeFileSync(join(folder, file), read(join(parent, file)).trim());
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
