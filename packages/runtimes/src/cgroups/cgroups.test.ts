import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cgroupExists, cgroupProcsFiles, makeCgroup, parseHierarchies, removeCgroup } from './cgroups.ts';

const v1 = `
25 20 0:22 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
26 20 0:23 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
27 20 0:24 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd
28 20 0:25 / / rw,relatime - ext4 /dev/vda rw`;
const v2 = '30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate';

describe('detection', () => {
  it('finds every hierarchy of v1', () => {
    const mountPoints = ['/sys/fs/cgroup/cpu', '/sys/fs/cgroup/memory', '/sys/fs/cgroup/systemd'];
    expect(parseHierarchies(v1)).toEqual({ version: 1, mountPoints });
  });
  it('finds the one of v2', () => {
    expect(parseHierarchies(v2)).toEqual({ version: 2, mountPoints: ['/sys/fs/cgroup'] });
  });
  it('counts both at once as v1, whose controllers those are', () => {
    const hybrid = `${v1}\n29 20 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw`;
    expect(parseHierarchies(hybrid).version).toBe(1);
    expect(parseHierarchies(hybrid).mountPoints).not.toContain('/sys/fs/cgroup/unified');
    expect(parseHierarchies(hybrid).unified).toBe('/sys/fs/cgroup/unified');
  });
  it('says so when there are none', () => {
    expect(() => parseHierarchies('28 20 0:25 / / rw - ext4 /dev/vda rw')).toThrow('no cgroups are mounted');
  });
});

/** Folders that look like a v2 hierarchy, as this machine may have none. */
describe('on v2', () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'rancher-cgroup-'));
    writeFileSync(join(root, 'cgroup.controllers'), 'cpuset cpu memory\n');
    writeFileSync(join(root, 'cgroup.subtree_control'), 'cpuset cpu\n');
  });
  afterEach(() => rmSync(root, { recursive: true }));

  it('passes on the controllers that are not passed on yet', () => {
    makeCgroup('/a/b', { version: 2, mountPoints: [root] });
    expect(readFileSync(join(root, 'cgroup.subtree_control'), 'utf8')).toBe('+memory');
    expect(cgroupProcsFiles('/a/b', { version: 2, mountPoints: [root] })).toEqual([
      `${root}/a/b/cgroup.procs`,
    ]);
  });
});

describe('on v1', () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'rancher-cgroup-'));
    for (const folder of ['cpuset', 'memory']) mkdirSync(join(root, folder));
  });
  afterEach(() => rmSync(root, { recursive: true }));

  it('makes and removes the cgroup in every controller', () => {
    const hierarchies = { version: 1 as const, mountPoints: [join(root, 'cpuset'), join(root, 'memory')] };
    makeCgroup('/a/b', hierarchies);
    expect(existsSync(join(root, 'cpuset/a/b'))).toBe(true);
    expect(existsSync(join(root, 'memory/a/b'))).toBe(true);
    mkdirSync(join(root, 'unified/a/of-runc'), { recursive: true });
    const hybrid = { ...hierarchies, unified: join(root, 'unified') };
    removeCgroup('/a', hybrid);
    removeCgroup('/a', hybrid);
    expect(cgroupExists('/a', hybrid)).toBe(false);
  });
});
