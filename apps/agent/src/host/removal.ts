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
import { hostPaths, kernelNames, metadataAddress } from '@rancher/domain';
import { cgroupExists, removeCgroup } from '@rancher/runtimes';
import type { AgentConfig } from '../config.ts';
import { describe } from '../errors.ts';
import { cgroupDriver } from '../facts.ts';
import type { Log } from '../log.ts';
import { addressLabel } from '../prepare/addresses.ts';
import { run, tryRun } from '../run.ts';
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

/** Removes from a Linux machine what it had as a host: processes of pods, mounts, data. The agent's own folder stays. */
export async function wipeMachine(config: AgentConfig, log: Log): Promise<void> {
  const folders = [
    hostPaths.kubelet,
    hostPaths.containerd,
    hostPaths.containerdState,
    '/var/log/pods',
    '/var/log/containers',
    hostPaths.etcd,
    hostPaths.services,
    hostPaths.artifacts,
    hostPaths.cniConf,
    hostPaths.cniRun,
    hostPaths.node,
  ];
  try {
    if (cgroupExists(config.cgroup)) {
      await endProcesses(config.cgroup, { graceMs: 0, except: (pid) => pid === process.pid });
      removeCgroup(config.cgroup);
    }
    // With systemd as the cgroup driver, pods are in a slice of kubelet's own.
    if (cgroupDriver(config) === 'systemd') await tryRun('systemctl', ['stop', 'kubepods.slice']);
    const mountinfo = readFileSync('/proc/self/mountinfo', 'utf8');
    // The agent's folder may be a link to another disk.
    const real = folders.filter((folder) => existsSync(folder)).map((folder) => realpathSync(folder));
    for (const path of mountsBelow(mountinfo, [...folders, ...real])) await run('umount', ['--lazy', path]);
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
    removeCachedResults();
    for (const [file, ...args] of networkLeftovers) await tryRun(file!, args);
    await removeChains();
  } catch (error) {
    log.error('not wholly wiped', { error: describe(error) });
  }
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
