import { setTimeout as delay } from 'node:timers/promises';
import { cgroupProcesses } from '@rancher/runtimes';

const pollMs = 20;

/**
 * Ends every process of a cgroup and below it: SIGTERM, and after `graceMs` SIGKILL, again and again, as what is being
 * killed may still fork. `except` is spared.
 * @throws Error naming what is left after `giveUpMs`, such as a process that waits for a dead disk.
 */
export async function endProcesses(
  cgroup: string,
  options: { graceMs: number; giveUpMs?: number; except?: (pid: number) => boolean },
): Promise<void> {
  const { graceMs, giveUpMs = 30_000, except = () => false } = options;
  const begun = Date.now();
  const left = () => cgroupProcesses(cgroup).filter((pid) => !except(pid));
  if (graceMs > 0) signalAll(left(), 'SIGTERM');
  for (let pids = left(); pids.length > 0; pids = left()) {
    const forMs = Date.now() - begun;
    if (forMs >= graceMs) signalAll(pids, 'SIGKILL');
    if (forMs >= graceMs + giveUpMs) throw new Error(`processes that do not end: ${pids.join(', ')}`);
    await delay(pollMs);
  }
}

function signalAll(pids: number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch {
      // It ended by itself.
    }
  }
}
