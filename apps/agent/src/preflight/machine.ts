import { existsSync, readdirSync, readFileSync, statfsSync } from 'node:fs';
import { createServer } from 'node:net';
import { networkInterfaces, totalmem } from 'node:os';
import { type CgroupHierarchies, cgroupHierarchies, makeCgroup, removeCgroup } from '@rancher/runtimes';
import type { AgentConfig } from '../config.ts';
import { roomOf } from '../disks.ts';
import { hasProgram, ownAddress } from '../facts.ts';
import { findFirewalls } from '../firewall.ts';
import { tryRun } from '../run.ts';
import { type MachineFacts, neededPrograms } from './problems.ts';

/** What kubelet cannot do without (k8s.io/kubernetes/pkg/kubelet/cm, requiredControllers and cpuset). */
const neededControllers = ['cpu', 'cpuset', 'memory', 'pids'];
/** statfs(2): layers cannot lie on these. */
const unfit = new Map([
  [0x794c7630, 'an overlay file system'],
  [0x6969, 'NFS'],
  [0xff534d42, 'CIFS'],
]);

/** What must be free on a machine that becomes a host; nothing on one that is a host already, whose own it is. */
export interface Needed {
  /** TCP ports. */
  ports: readonly number[];
  folders: readonly string[];
}

/** Looks at this machine by trying; what it makes to try goes again. */
export async function lookAtMachine(config: AgentConfig, { ports, folders }: Needed): Promise<MachineFacts> {
  const address = ownAddress(config);
  const taken = await Promise.all(ports.map(isTaken));
  return {
    programs: Object.fromEntries(Object.keys(neededPrograms).map((name) => [name, hasProgram(name)])),
    kernel: {
      namespaces: await tryRun('unshare', ['--net', '--mount', 'true']),
      overlay: await hasOverlay(),
      bridge: await makesLink('bridge0 type bridge', 'veth0 type veth peer name veth1'),
      vxlan: await makesLink('vxlan0 type vxlan id 1 dstport 4789'),
    },
    firewalls: findFirewalls(),
    cgroups: cgroups(`${config.cgroup}-check`),
    unfitFileSystem: unfit.get(statfsSync(config.stateDir).type) ?? null,
    diskFreeBytes: roomOf(config.stateDir).freeBytes,
    folder: config.stateDir,
    memoryBytes: totalmem(),
    kmsg: existsSync('/dev/kmsg'),
    address: { value: address, own: isOwn(address) },
    takenFolders: folders.filter(isFilled),
    takenPorts: ports.filter((_, i) => taken[i]),
  };
}

/** Tried in a network namespace of its own, which goes with the program. The kernel loads the module where there is one. */
function makesLink(...links: string[]): Promise<boolean> {
  const script = links.map((link) => `ip link add name ${link}`).join(' && ');
  return tryRun('unshare', ['--net', 'sh', '-c', script]);
}

async function hasOverlay(): Promise<boolean> {
  const there = () => /\boverlay$/m.test(readFileSync('/proc/filesystems', 'utf8'));
  if (!there()) await tryRun('modprobe', ['overlay']);
  return there();
}

function cgroups(scratch: string): MachineFacts['cgroups'] {
  let hierarchies: CgroupHierarchies;
  try {
    hierarchies = cgroupHierarchies();
  } catch (error) {
    return { error: (error as Error).message };
  }
  const there = controllers(hierarchies);
  const missing = neededControllers.filter((name) => !there.includes(name));
  try {
    makeCgroup(scratch);
    removeCgroup(scratch);
    return { missing, writable: true };
  } catch {
    return { missing, writable: false };
  }
}

/** Those that are compiled in and not disabled (cgroups(7)). */
function controllers({ version, mountPoints }: CgroupHierarchies): string[] {
  if (version === 2) return readFileSync(`${mountPoints[0]}/cgroup.controllers`, 'utf8').trim().split(' ');
  const enabled = readFileSync('/proc/cgroups', 'utf8').matchAll(/^(\w+)\s+\d+\s+\d+\s+1$/gm);
  return [...enabled].map((match) => match[1]!);
}

function isFilled(folder: string): boolean {
  return existsSync(folder) && readdirSync(folder).length > 0;
}

function isOwn(address: string): boolean {
  return Object.values(networkInterfaces())
    .flat()
    .some((own) => own?.address === address && !own.internal);
}

function isTaken(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(true));
    server.listen(port, '0.0.0.0', () => server.close(() => resolve(false)));
  });
}
