// Plain JavaScript without dependencies, like checks.mjs. Types in facts.d.mts.
import { spawnSync } from 'node:child_process';
import {
  accessSync,
  constants,
  existsSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statfsSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { programPackages } from './checks.mjs';

const cgroupControllers = {
  1: ['cpu', 'cpuacct', 'cpuset', 'memory', 'pids', 'devices', 'freezer'],
  2: ['cpu', 'cpuset', 'memory', 'pids'],
};

const neededBytes = { home: 2 * 1024 ** 3, cache: 1 * 1024 ** 3, emptyCache: 4 * 1024 ** 3 };

function read(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function findProgram(name) {
  const folders = [
    ...(process.env.PATH ?? '').split(':'),
    '/usr/local/sbin',
    '/usr/sbin',
    '/sbin',
    '/usr/bin',
    '/bin',
  ];
  for (const folder of folders) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // not here
    }
  }
  return null;
}

/** Inode of the socket that listens on a port, from /proc/net/tcp and tcp6. */
function listeningInodes(port) {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  return ['/proc/net/tcp', '/proc/net/tcp6'].flatMap((file) =>
    read(file)
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/\s+/))
      .filter((f) => f[3] === '0A' && (f[1] ?? '').endsWith(`:${hex}`))
      .map((f) => f[9]),
  );
}

function holderOf(inode) {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      for (const fd of readdirSync(`/proc/${pid}/fd`)) {
        if (readlinkSync(`/proc/${pid}/fd/${fd}`) === `socket:[${inode}]`) return Number(pid);
      }
    } catch {
      // gone, or not ours to look into
    }
  }
  return null;
}

/** The program's file name: `comm` is of a thread, and Node.js calls its first one MainThread. */
function nameOf(pid) {
  try {
    return basename(readlinkSync(`/proc/${pid}/exe`));
  } catch {
    return read(`/proc/${pid}/comm`).trim() || 'a process';
  }
}

export function portHolder(port, ours) {
  for (const inode of listeningInodes(port)) {
    const pid = holderOf(inode);
    if (pid === null) return 'a process that cannot be seen';
    if (!ours.includes(pid)) return `${nameOf(pid)} (pid ${pid})`;
  }
  return null;
}

/** Tries each feature in namespaces that end with the shell. `set +e` is the point: every line is its own answer. */
const trial = `
ip link add rancher-b type bridge 2>/dev/null && echo bridge
ip link add rancher-v type veth peer name rancher-w 2>/dev/null && echo veth
nft add table inet rancher 2>/dev/null && echo nf_tables
mount -t tmpfs tmpfs /tmp 2>/dev/null && mkdir /tmp/l /tmp/u /tmp/w /tmp/m &&
  mount -t overlay overlay -o lowerdir=/tmp/l,upperdir=/tmp/u,workdir=/tmp/w /tmp/m 2>/dev/null && echo overlayfs
echo namespaces
`;

function features(programs) {
  const names = ['namespaces', 'overlayfs', 'nf_tables', 'bridge', 'veth'];
  if (programs.unshare === null || process.getuid?.() !== 0) {
    return Object.fromEntries(names.map((name) => [name, null]));
  }
  const { stdout } = spawnSync(programs.unshare, ['-n', '-m', '-u', '-i', '/bin/sh', '-c', trial], {
    encoding: 'utf8',
  });
  const works = (stdout ?? '').split('\n');
  const askedOf = { nf_tables: 'nft', bridge: 'ip', veth: 'ip', overlayfs: 'mount' };
  return Object.fromEntries(
    names.map((name) => {
      const unknown = askedOf[name] !== undefined && programs[askedOf[name]] === null;
      return [name, unknown ? null : works.includes(name)];
    }),
  );
}

function cgroups() {
  const root = '/sys/fs/cgroup';
  const mounts = read('/proc/self/mounts')
    .split('\n')
    .map((line) => line.split(' '));
  const writable = (type) =>
    mounts.some(
      ([, path, t, options]) => t === type && path.startsWith(root) && /(^|,)rw(,|$)/.test(options),
    );
  if (existsSync(`${root}/cgroup.controllers`)) {
    const has = read(`${root}/cgroup.controllers`).trim().split(/\s+/);
    return {
      version: 2,
      missing: cgroupControllers[2].filter((c) => !has.includes(c)),
      writable: writable('cgroup2'),
    };
  }
  const has = mounts
    .filter(([, , type]) => type === 'cgroup')
    .flatMap(([, , , options]) => options.split(','));
  if (has.length === 0) return { version: null, missing: [], writable: false };
  return {
    version: 1,
    missing: cgroupControllers[1].filter((c) => !has.includes(c)),
    writable: writable('cgroup'),
  };
}

function existingParent(path) {
  let at = path;
  while (!existsSync(at)) at = dirname(at);
  return at;
}

function freeBytes(path) {
  const { bavail, bsize } = statfsSync(existingParent(path));
  return bavail * bsize;
}

/** Type of the file system that holds a path: the longest mount point that is a parent of it. */
function fileSystemOf(path) {
  const at = existingParent(path);
  const mounts = read('/proc/self/mounts')
    .split('\n')
    .map((line) => line.split(' '))
    .filter(
      ([, point]) => point !== undefined && (point === '/' || at === point || at.startsWith(`${point}/`)),
    );
  return mounts.reduce((best, m) => (m[1].length >= best[1].length ? m : best), ['', '', 'unknown'])[2];
}

/** Files that may be put into a new RANCHER_HOME before the first `up`. */
const welcome = ['config.json', 'master.key', 'admin.key', 'system.key', 'run', 'log', 'lost+found'];

function strangersIn(home) {
  if (!existsSync(home) || existsSync(join(home, 'config.json'))) return [];
  try {
    return readdirSync(home).filter((name) => !welcome.includes(name));
  } catch {
    return [];
  }
}

export function gatherFacts({ home, cache, ports, ours }) {
  const linux = process.platform === 'linux';
  const programs = Object.fromEntries(Object.keys(programPackages).map((name) => [name, findProgram(name)]));
  const none = { version: null, missing: [], writable: false };
  return {
    platform: process.platform,
    arch: process.arch,
    uid: process.getuid?.() ?? -1,
    nodeVersion: process.versions.node,
    home,
    cache,
    ports: ports.map((p) => ({ ...p, takenBy: linux ? portHolder(p.port, ours) : null })),
    features: features(programs),
    cgroups: linux ? cgroups() : none,
    programs,
    aptGet: findProgram('apt-get') !== null,
    disk: [
      { path: home, freeBytes: freeBytes(home), neededBytes: neededBytes.home, variable: 'RANCHER_HOME' },
      {
        path: cache,
        freeBytes: freeBytes(cache),
        neededBytes: existsSync(join(cache, 'artifacts')) ? neededBytes.cache : neededBytes.emptyCache,
        variable: 'RANCHER_CACHE',
      },
    ],
    homeFileSystem: linux ? fileSystemOf(home) : 'unknown',
    homeStrangers: strangersIn(home),
  };
}
