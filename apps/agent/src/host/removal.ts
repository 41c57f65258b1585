import { execFile } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { hostPaths } from '@rancher/domain';
import { cgroupExists, removeCgroup } from '@rancher/runtimes';
import type { AgentConfig } from '../config.ts';
import { describe } from '../errors.ts';
import type { Log } from '../log.ts';
import { endProcesses } from './end-processes.ts';

const execute = promisify(execFile);

/** A host that was removed must not come back by itself with a token that is still good. */
export function markRemoved(config: AgentConfig): void {
  writeFileSync(marker(config), `${new Date().toISOString()}\n`);
}

export function wasRemoved(config: AgentConfig): boolean {
  return existsSync(marker(config));
}

function marker(config: AgentConfig): string {
  return join(config.stateDir, 'removed');
}

/** Removes from a Linux machine what it had as a host: processes of pods, mounts, data. The agent's own folder stays. */
export async function wipeMachine(config: AgentConfig, log: Log): Promise<void> {
  const folders = [
    hostPaths.kubelet,
    hostPaths.containerd,
    '/run/containerd',
    hostPaths.etcd,
    hostPaths.services,
    hostPaths.artifacts,
    hostPaths.cniConf,
  ];
  try {
    if (cgroupExists(config.cgroup)) {
      await endProcesses(config.cgroup, { graceMs: 0, except: (pid) => pid === process.pid });
      removeCgroup(config.cgroup);
    }
    const mountinfo = readFileSync('/proc/self/mountinfo', 'utf8');
    for (const path of mountsBelow(mountinfo, folders)) await execute('umount', ['--lazy', path]);
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  } catch (error) {
    log.error('not wholly wiped', { error: describe(error) });
  }
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
