import { readFileSync } from 'node:fs';

/** How a machine's cgroups are mounted. */
export interface CgroupHierarchies {
  version: 1 | 2;
  /** v1: a mount point for each set of controllers. v2: the one. */
  mountPoints: string[];
  /** v1 beside which v2 is mounted too ("hybrid"): others, such as runc, make folders there, which are to be removed. */
  unified?: string;
}

/**
 * Reads the cgroup mounts out of /proc/self/mountinfo (proc(5)). A machine with both ("hybrid") counts as v1: there the
 * v2 hierarchy has no controllers.
 * @throws Error when no cgroups are mounted.
 */
export function parseHierarchies(mountinfo: string): CgroupHierarchies {
  const v1: string[] = [];
  const v2: string[] = [];
  for (const line of mountinfo.split('\n')) {
    const [left, right] = line.split(' - ');
    const mountPoint = left?.split(' ')[4];
    const type = right?.split(' ')[0];
    if (mountPoint === undefined) continue;
    if (type === 'cgroup') v1.push(mountPoint);
    else if (type === 'cgroup2') v2.push(mountPoint);
  }
  const first = v2[0];
  if (v1.length > 0) {
    const mountPoints = [...new Set(v1)];
    return first === undefined ? { version: 1, mountPoints } : { version: 1, mountPoints, unified: first };
  }
  if (first === undefined) throw new Error('no cgroups are mounted: mount cgroup2 on /sys/fs/cgroup');
  return { version: 2, mountPoints: [first] };
}

let found: CgroupHierarchies | undefined;
/** Those of this machine; looked up once. */
export function cgroupHierarchies(): CgroupHierarchies {
  found ??= parseHierarchies(readFileSync('/proc/self/mountinfo', 'utf8'));
  return found;
}
