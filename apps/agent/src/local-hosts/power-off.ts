import { setTimeout as delay } from 'node:timers/promises';
import { cgroupExists, isAlive, type ProcessIdentity, removeCgroup, signalProcess } from '@rancher/runtimes';
import { endProcesses } from '../host/end-processes.ts';
import { run } from '../run.ts';
import { listNamespaces, removeBridges } from './bridge.ts';
import { powerCut } from './local-host.ts';
import { installationCgroup } from './names.ts';
import { Records } from './records.ts';

/** How long a host's components get to stop in order before it is cut off (ms). */
const graceMs = 60_000;

/**
 * Powers all local hosts of an installation off: their components stop in order, then everything that runs goes, and
 * the network with it. Data stays; the machine's agent brings the same hosts back. The machine's agent must not run.
 */
export async function powerOff(home: string): Promise<void> {
  const records = new Records(home);
  await Promise.all(
    records.all().map(async ({ init, ...record }) => {
      if (init !== undefined) await askToStop(init);
      await powerCut(home, record);
      records.set(record);
    }),
  );
  await cutLeftovers(home);
}

/** Whatever carries the installation's id and is in no record: after a crash, or when its files are gone. */
export async function cutLeftovers(home: string): Promise<void> {
  const cgroup = installationCgroup(home);
  if (cgroupExists(cgroup)) {
    await endProcesses(cgroup, { graceMs: 0 });
    removeCgroup(cgroup);
  }
  for (const name of await listNamespaces(home)) await run('ip', ['netns', 'delete', name]);
  await removeBridges(home);
}

async function askToStop(init: ProcessIdentity): Promise<void> {
  signalProcess(init, 'SIGTERM');
  for (const begun = Date.now(); isAlive(init) && Date.now() - begun < graceMs; ) await delay(20);
}
