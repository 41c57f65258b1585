import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../run.ts';
import { powerCut } from './local-host.ts';
import { hostsDir, networkFile, recordsFile } from './names.ts';
import { cutLeftovers } from './power-off.ts';
import { Records } from './records.ts';

/**
 * Removes every trace of an installation's local hosts and of the machine's agent: processes, namespaces and with them
 * their mounts, cgroups, bridge, rules, files. Works on what is left of a broken one, and when there is nothing.
 */
export async function purgeInstallation(home: string): Promise<void> {
  await Promise.all(new Records(home).all().map((record) => powerCut(home, record)));
  await cutLeftovers(home);
  await run('rm', ['-rf', '--one-file-system', hostsDir(home)]);
  for (const path of [networkFile(home), recordsFile(home), join(home, 'agent')]) {
    await rm(path, { recursive: true, force: true });
  }
}
