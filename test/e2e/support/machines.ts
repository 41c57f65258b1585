/**
 * Linux machines for scenarios that join them: each a network, mount, UTS, IPC, PID and cgroup namespace with its own
 * address on a network of the test, and its own /etc, /var and /run. Nothing of ours is on it before it joins, and
 * its processes are all that a scenario's `remove` has to end.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  cgroupExists,
  cgroupHierarchies,
  cgroupProcesses,
  cgroupProcsFiles,
  makeCgroup,
  removeCgroup,
} from '@rancher/runtimes';
import { type Result, run, until } from './installation.ts';

export interface TestNetwork {
  /** Of this machine on it: where the server listens. */
  address: string;
  bridge: string;
  /** What is to go with the network may lie there. */
  dir: string;
  machine(name: string): Promise<TestMachine>;
  /** An address that nobody else gets, and a name for the link to the bridge. */
  place(): { address: string; number: number; link: string };
  /** Has another machine on it go with the network. */
  adopt(machine: { powerOff(): Promise<void> }): void;
  /** Removes the network and every machine on it. */
  remove(): Promise<void>;
}

export interface TestMachine {
  name: string;
  address: string;
  /** Its first process, as seen from here. */
  pid: number;
  /** Runs a command in it as root. */
  sh(script: string, options?: { timeoutMs?: number; input?: string }): Promise<Result>;
  /** Runs it and throws with its output when it fails. */
  must(script: string, options?: { timeoutMs?: number }): Promise<string>;
  /** A machine started from a copy of this one's disk. */
  clone(name: string): Promise<TestMachine>;
  /** What could be left of a host on it, a line each: files, links, addresses, rules, mounts, cgroups, processes. */
  traces(): Promise<string[]>;
  powerOff(): Promise<void>;
}

/** What is the machine's own: folders with what is in them at first, by the path that is copied; null = empty. */
const own = { '/etc': '/etc', '/var/lib': null, '/var/log': null, '/tmp': null } as const;

/** `$1` the folder with what is its own; `$2` its name. PID 1 of the machine: it reaps what is left to it. */
const firstProcess = `
set -eu
dir=$1
echo "$2" >/proc/sys/kernel/hostname
mount -t proc proc /proc
# Mounts of other machines' namespaces would keep those alive from in here.
umount --recursive --lazy /run/netns 2>/dev/null || :
for folder in etc var/lib var/log tmp; do mount --bind "$dir/$folder" "/$folder"; done
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/lock
# The kernel's view of cgroups begins at this machine's own one.
grep ' cgroup ' /proc/self/mounts | while read -r _ at _ options _; do
  umount -l "$at"
  mount -t cgroup -o "$(echo "$options" | sed 's/\\brw\\b,*//; s/relatime,*//; s/nosuid,*//; s/nodev,*//; s/noexec,*//')" cgroup "$at"
done
# So does that of the unified hierarchy beside them, where runc makes folders too.
if mountpoint -q /sys/fs/cgroup/unified; then
  umount -l /sys/fs/cgroup/unified
  mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified
fi
mount --make-rshared /
echo 1 >/proc/sys/net/ipv4/ip_forward
: >/etc/ready
trap 'exit 0' TERM
while :; do sleep 1000 & wait $!; done
`;

export async function createNetwork(): Promise<TestNetwork> {
  const id = randomBytes(3).toString('hex');
  const bridge = `rt${id}`;
  const subnet = await freeSubnet();
  const address = `${subnet}.1`;
  const dir = await mkdtemp(join(tmpdir(), 'rancher-machines-'));
  const machines: { powerOff(): Promise<void> }[] = [];
  let nextNumber = 11;
  await must('ip', ['link', 'add', bridge, 'type', 'bridge']);
  await must('ip', ['address', 'add', `${address}/24`, 'dev', bridge]);
  await must('ip', ['link', 'set', bridge, 'up']);

  function place() {
    const number = nextNumber++;
    return { number, address: `${subnet}.${number}`, link: `${bridge}${number}` };
  }

  async function machine(name: string, from?: string): Promise<TestMachine> {
    const made = await powerOn({
      ...place(),
      name,
      id,
      bridge,
      gateway: address,
      dir: join(dir, name),
      from,
      clone: (other) => machine(other, join(dir, name)),
    });
    machines.push(made);
    return made;
  }

  return {
    address,
    bridge,
    dir,
    machine: (name) => machine(name),
    place,
    adopt: (other) => void machines.push(other),
    async remove() {
      for (const each of machines) await each.powerOff();
      await run('ip', ['link', 'delete', bridge]);
      await rm(dir, { recursive: true, force: true });
    },
  };
}

interface Wish {
  name: string;
  id: string;
  number: number;
  link: string;
  bridge: string;
  address: string;
  gateway: string;
  dir: string;
  /** Folder of the machine whose disk is copied. */
  from: string | undefined;
  clone(name: string): Promise<TestMachine>;
}

async function powerOn(wish: Wish): Promise<TestMachine> {
  const { id, number } = wish;
  const netns = `rt${id}-${number}`;
  const cgroup = `/rancher-test-${id}-${number}`;
  await makeDisk(wish);
  const powerOff = async () => {
    await endAll(cgroup);
    if (cgroupExists(cgroup)) removeCgroup(cgroup);
    await run('ip', ['netns', 'delete', netns]);
  };
  try {
    await must('ip', ['netns', 'add', netns]);
    makeCgroup(cgroup);
    const unified = unifiedOf(cgroup);
    if (unified !== undefined) await mkdir(unified, { recursive: true });
    await plugIn(wish, netns);
    const pid = await startFirst(wish, netns, cgroup);
    return machineOf(wish, pid, powerOff);
  } catch (error) {
    await powerOff();
    throw error;
  }
}

/** The same cgroup in the unified hierarchy, where that lies beside those of v1. */
function unifiedOf(cgroup: string): string | undefined {
  const { unified } = cgroupHierarchies();
  return unified === undefined ? undefined : join(unified, cgroup);
}

async function startFirst({ name, dir }: Wish, netns: string, cgroup: string): Promise<number> {
  const unified = unifiedOf(cgroup);
  const files = [
    ...cgroupProcsFiles(cgroup),
    ...(unified === undefined ? [] : [join(unified, 'cgroup.procs')]),
  ];
  const enter = files.map((file) => `echo $$ >'${file}'`);
  const child = spawn(
    'sh',
    [
      '-c',
      `${enter.join('; ')}; exec nsenter --net=/run/netns/${netns} unshare --mount --uts --ipc --cgroup --pid --fork --kill-child ` +
        '--propagation private sh -c "$0" init "$1" "$2"',
      firstProcess,
      dir,
      name,
    ],
    { stdio: ['ignore', 'ignore', 'inherit'], detached: true, env: { PATH: process.env.PATH ?? '' } },
  );
  await once(child, 'spawn');
  await until(`machine ${name} is up`, () => readFile(join(dir, 'etc/ready')).then(() => true), 20_000, 20);
  return Number((await readFile(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8')).trim());
}

function machineOf({ name, address, clone }: Wish, pid: number, powerOff: () => Promise<void>): TestMachine {
  const inside = ['-t', String(pid), '-m', '-u', '-i', '-n', '-p', '-C'];
  const sh: TestMachine['sh'] = (script, options = {}) =>
    run('nsenter', [...inside, 'sh', '-c', `${intoCgroup}\n${script}`], { ...options, cwd: '/' });
  const mustInside: TestMachine['must'] = async (script, options = {}) => {
    const result = await sh(script, options);
    if (result.code !== 0)
      throw new Error(`${name}: ${script} → ${result.code}\n${result.stdout}\n${result.stderr}`);
    return result.stdout;
  };
  return {
    name,
    address,
    pid,
    sh,
    must: mustInside,
    clone,
    traces: async () => (await mustInside(tracesScript)).split('\n').filter((line) => line !== ''),
    powerOff,
  };
}

async function endAll(cgroup: string): Promise<void> {
  for (let pids = cgroupProcesses(cgroup); pids.length > 0; pids = cgroupProcesses(cgroup)) {
    for (const pid of pids) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It is gone.
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** What comes from outside is of the machine from then on. */
const intoCgroup = 'for file in /sys/fs/cgroup/*/cgroup.procs; do echo $$ >"$file" 2>/dev/null; done';

const tracesScript = `
ls -d /var/lib/* /var/log/* /run/* /etc/systemd/system/rancher* /etc/init.d/rancher* /etc/cni /opt/cni 2>/dev/null
find /var/log -name '*rancher*'
ip -brief link | cut -d ' ' -f 1; ip -brief -4 address | tr -s ' '; ip -4 route; ip -4 rule
nft list tables
iptables-save 2>/dev/null | grep -E '^(-A|:KUBE)' || :
grep -oE ' /(var|run|tmp)[^ ]* ' /proc/self/mounts
find /sys/fs/cgroup/memory /sys/fs/cgroup/pids -mindepth 1 -type d 2>/dev/null
ps -e -o args= | grep -vE '^(sh|sleep|ps|grep|ls|find|cut|tr|nft|iptables) ?' || :
`;

async function makeDisk({ dir, name, address, from, number }: Wish): Promise<void> {
  for (const [path, source] of Object.entries(own)) {
    const to = join(dir, path);
    await mkdir(to, { recursive: true });
    if (from !== undefined) await must('cp', ['-a', `${join(from, path)}/.`, to]);
    else if (source !== null) await must('cp', ['-a', `${source}/.`, to]);
  }
  await writeFile(join(dir, 'etc/hosts'), `127.0.0.1 localhost\n${address} ${name}\n`);
  await writeFile(join(dir, 'etc/hostname'), `${name}\n`);
  await writeFile(join(dir, 'etc/machine-id'), `${String(number).padStart(32, '0')}\n`);
}

async function plugIn({ link, bridge, address, gateway }: Wish, netns: string): Promise<void> {
  await must('ip', ['link', 'add', link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', netns]);
  await must('ip', ['link', 'set', link, 'master', bridge, 'up']);
  const inside = [
    'link set lo up',
    `address add ${address}/24 dev eth0`,
    'link set eth0 up',
    `route add default via ${gateway}`,
  ];
  const result = await run('ip', ['-n', netns, '-batch', '-'], { input: inside.join('\n') });
  if (result.code !== 0) throw new Error(result.stderr);
}

async function freeSubnet(): Promise<string> {
  const { stdout } = await run('ip', ['-4', 'route', 'show', 'table', 'all']);
  for (let n = 0; n < 256; n++) if (!stdout.includes(`10.219.${n}.`)) return `10.219.${n}`;
  throw new Error('no subnet of 10.219.0.0/16 is free');
}

async function must(command: string, args: string[]): Promise<void> {
  const result = await run(command, args);
  if (result.code !== 0) throw new Error(`${command} ${args.join(' ')}: ${result.stderr}`);
}
