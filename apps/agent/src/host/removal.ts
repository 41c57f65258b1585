import {
  existsSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { hostPaths, kernelNames, metadataAddress } from '@rancher/domain';
import { cgroupExists, removeCgroup } from '@rancher/runtimes';
import type { AgentConfig } from '../config.ts';
import { describe } from '../errors.ts';
import { cgroupDriver } from '../facts.ts';
import { addressLabel } from '../prepare/addresses.ts';
import { tryRun } from '../run.ts';
import { endProcesses } from './end-processes.ts';
import { removeChains } from './iptables-leftovers.ts';

/** What the network daemon, CNI plugins and kube-proxy leave in the machine's network. */
const networkLeftovers = [
  ['ip', 'link', 'delete', kernelNames.overlayLink],
  ['ip', 'route', 'flush', 'proto', String(kernelNames.routeProtocol)],
  ['nft', 'delete', 'table', 'ip', kernelNames.networkTable],
  ['nft', 'delete', 'table', 'inet', kernelNames.policyTable],
  // Of the host's own DNS server, and of its metadata.
  ['ip', 'address', 'flush', 'dev', 'lo', 'label', addressLabel],
  ['ip', 'address', 'delete', `${metadataAddress}/32`, 'dev', 'lo'],
  ...['ip', 'ip6'].flatMap((family) => [
    ['nft', 'delete', 'table', family, 'kube-proxy'],
    ['nft', 'delete', 'table', family, 'cni_hostport'],
  ]),
  ['nft', 'delete', 'table', 'inet', 'cni_plugins_masquerade'],
];

/** A host that was removed must not come back by itself with a token that is still good. */
export function markRemoved(config: AgentConfig): void {
  writeFileSync(marker(config), `${new Date().toISOString()}\n`);
}

export function wasRemoved(config: AgentConfig): boolean {
  return existsSync(marker(config));
}

/** It was made a host again, by somebody. */
export function clearRemoved(stateDir: string): void {
  rmSync(marker({ stateDir }), { force: true });
}

function marker({ stateDir }: Pick<AgentConfig, 'stateDir'>): string {
  return join(stateDir, 'removed');
}

const wipeAttempts = 3;
const betweenAttemptsMs = 500;

/**
 * Removes from a Linux machine what it had as a host: processes of pods, mounts, data, what its network had. The agent's
 * own folder stays. Each part is tried whatever becomes of the others, and again where it fails, as somebody else may be
 * at it too: the agent, when the host is given back.
 * @returns what could not be removed, in words
 */
export async function wipeMachine(config: AgentConfig): Promise<string[]> {
  const parts = [
    () => endCgroup(config),
    () => removeFolders(hostFolders),
    removeCachedResults,
    removeNetworkLeftovers,
    removeChains,
  ];
  return triedEach(parts, wipeAttempts, betweenAttemptsMs);
}

/** Runs each, those that fail up to `attempts` times. @returns what the last attempt of each that failed said */
export async function triedEach(
  parts: readonly (() => unknown)[],
  attempts: number,
  pauseMs: number,
): Promise<string[]> {
  const failed: { part: () => unknown; said: string }[] = [];
  for (const part of parts) {
    try {
      await part();
    } catch (error) {
      failed.push({ part, said: describe(error) });
    }
  }
  if (failed.length === 0 || attempts === 1) return failed.map(({ said }) => said);
  await delay(pauseMs);
  const again = failed.map(({ part }) => part);
  return triedEach(again, attempts - 1, pauseMs);
}

/** Where a host that is a machine has its data. */
const hostFolders = [
  hostPaths.kubelet,
  hostPaths.containerd,
  hostPaths.containerdState,
  hostPaths.podLogs,
  '/var/log/containers',
  hostPaths.etcd,
  hostPaths.services,
  hostPaths.artifacts,
  hostPaths.cniConf,
  hostPaths.cniRun,
  hostPaths.node,
];

async function endCgroup(config: AgentConfig): Promise<void> {
  if (cgroupExists(config.cgroup)) {
    await endProcesses(config.cgroup, { graceMs: 0, except: (pid) => pid === process.pid });
    removeCgroup(config.cgroup);
  }
  // With systemd as the cgroup driver, pods are in a slice of kubelet's own.
  if (cgroupDriver(config) === 'systemd') await tryRun('systemctl', ['stop', 'kubepods.slice']);
}

/** @throws Error naming what is mounted there still */
async function unmountBelow(folders: readonly string[]): Promise<void> {
  // The agent's folder may be a link to another disk.
  const real = folders.filter((folder) => existsSync(folder)).map((folder) => realpathSync(folder));
  const mounted = () => mountsBelow(readFileSync('/proc/self/mountinfo', 'utf8'), [...folders, ...real]);
  // A mount that is shared goes with its twin, so it may be gone by the time that it is its turn.
  for (const path of mounted()) await tryRun('umount', ['--lazy', path]);
  const left = mounted();
  if (left.length > 0) throw new Error(`still mounted: ${left.join(', ')}`);
}

/** Only once nothing is mounted there: through a volume of a pod, what is somebody else's would be removed. */
async function removeFolders(folders: readonly string[]): Promise<void> {
  await unmountBelow(folders);
  for (const folder of folders) rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
}

async function removeNetworkLeftovers(): Promise<void> {
  for (const [file, ...args] of networkLeftovers) await tryRun(file!, args);
}

/** Where a runtime keeps the results of CNI (libcni's default): others', such as Podman's, are there too. */
const cniCache = '/var/lib/cni';

function removeCachedResults(): void {
  const results = join(cniCache, 'results');
  if (!existsSync(results)) return;
  for (const file of readdirSync(results)) {
    if (file.startsWith(`${kernelNames.podNetwork}-`)) rmSync(join(results, file));
  }
  for (const folder of [results, cniCache]) if (readdirSync(folder).length === 0) rmdirSync(folder);
}

/** Mount points at or below any of the folders, those mounted last first (proc(5), mountinfo). */
export function mountsBelow(mountinfo: string, folders: readonly string[]): string[] {
  return mountinfo
    .split('\n')
    .map((line) => line.split(' ')[4]?.replaceAll('\\040', ' '))
    .filter((path) => path !== undefined)
    .filter((path) => folders.some((folder) => path === folder || path.startsWith(`${folder}/`)))
    .reverse();
}
