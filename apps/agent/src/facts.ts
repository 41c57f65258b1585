import { existsSync, readFileSync } from 'node:fs';
import { arch, availableParallelism, hostname, networkInterfaces, release, totalmem } from 'node:os';
import type { HostFacts } from '@rancher/domain';
import { cgroupHierarchies } from '@rancher/runtimes';
import type { AgentConfig } from './config.ts';
import { fullDisk, roomOf } from './disks.ts';
import { readIfPresent, sha256 } from './files.ts';
import { type Firewalls, findFirewalls } from './firewall.ts';

export const agentVersion = '0.1.0';
const capSysResource = 24n;
const programFolders = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/**
 * What this host is, as the server is told on joining and on each connection.
 * @param folders those that its services write to, besides the agent's own
 */
export function gatherFacts(config: AgentConfig, folders: readonly string[] = []): HostFacts {
  const disk = roomOf(config.stateDir);
  const full = fullDisk([config.stateDir, ...folders]);
  const local = config.kind === 'local';
  return {
    agentVersion,
    agentPid: process.pid,
    hostname: local ? config.name : hostname(),
    address: ownAddress(config),
    os: osName(readIfPresent('/etc/os-release') ?? ''),
    arch: arch() === 'arm64' ? 'arm64' : 'amd64',
    kernel: release(),
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    diskBytes: disk.bytes,
    diskFreeBytes: disk.freeBytes,
    ...(full === undefined ? {} : { fullDisk: full }),
    cgroupVersion: cgroupHierarchies().version,
    cgroupDriver: cgroupDriver(config),
    cgroupRoot: config.cgroup,
    ...firewalls(),
    sysResource: hasCapability(capSysResource),
    nameservers: nameservers(),
    localHosts: config.localHosts !== undefined,
    runtime: config.runtime,
    kvm: existsSync('/dev/kvm'),
    ...(local ? {} : { machineFingerprint: machineFingerprint() }),
  };
}

/** Who manages the cgroups of pods. Several kubelets of one machine cannot share systemd's slices. */
export function cgroupDriver({ kind }: Pick<AgentConfig, 'kind'>): HostFacts['cgroupDriver'] {
  return kind !== 'local' && existsSync('/run/systemd/system') ? 'systemd' : 'cgroupfs';
}

let found: Firewalls | undefined;

/** Asked once: neither programs nor kernel change while an agent runs. */
function firewalls(): Firewalls {
  found ??= findFirewalls();
  return found;
}

/** Value of PRETTY_NAME in os-release(5). */
export function osName(osRelease: string): string {
  return /^PRETTY_NAME="?(.*?)"?$/m.exec(osRelease)?.[1] ?? 'Linux';
}

/** Name servers of a resolv.conf(5) that can be reached from another network namespace. */
export function parseNameservers(resolvConf: string): string[] {
  return [...resolvConf.matchAll(/^nameserver\s+(\S+)/gm)]
    .map((match) => match[1]!)
    .filter((address) => !address.startsWith('127.') && address !== '::1');
}

/** The real ones, where resolv.conf names a stub on this machine's loopback. */
export function nameservers(): string[] {
  const files = ['/etc/resolv.conf', '/run/systemd/resolve/resolv.conf', '/run/NetworkManager/resolv.conf'];
  for (const file of files) {
    const found = parseNameservers(readIfPresent(file) ?? '');
    if (found.length > 0) return found;
  }
  return [];
}

/** Name of the interface of the IPv4 default route, out of /proc/net/route. */
export function defaultInterface(routes: string): string | undefined {
  return routes
    .split('\n')
    .map((line) => line.split('\t'))
    .find(([, destination, , flags]) => destination === '00000000' && (Number(`0x${flags}`) & 1) === 1)?.[0];
}

let fingerprint: string | undefined;
/** See `HostFacts.machineFingerprint`. Taken once: what changes while the agent runs is still the same machine. */
export function machineFingerprint(): string {
  const wayOut = defaultInterface(readIfPresent('/proc/net/route') ?? '');
  fingerprint ??= sha256(
    [
      '/etc/machine-id',
      '/sys/class/dmi/id/product_uuid',
      ...(wayOut === undefined ? [] : [`/sys/class/net/${wayOut}/address`]),
    ]
      .map((file) => readIfPresent(file)?.trim() ?? '')
      .join('\n'),
  ).slice(0, 16);
  return fingerprint;
}

/** Where other hosts reach this one: as it was told, else the address of the interface of the default route. */
export function ownAddress({ address }: Pick<AgentConfig, 'address'>): string {
  return address ?? defaultAddress();
}

function defaultAddress(): string {
  const name = defaultInterface(readIfPresent('/proc/net/route') ?? '');
  const interfaces = networkInterfaces();
  const candidates = name === undefined ? Object.values(interfaces).flat() : (interfaces[name] ?? []);
  return candidates.find((a) => a?.family === 'IPv4' && !a.internal)?.address ?? '127.0.0.1';
}

export function hasProgram(name: string): boolean {
  return programFolders.some((folder) => existsSync(`${folder}/${name}`));
}

function hasCapability(bit: bigint): boolean {
  const effective = /^CapEff:\s*([0-9a-f]+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
  return ((BigInt(`0x${effective}`) >> bit) & 1n) === 1n;
}
