import { copyFileSync, linkSync, realpathSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { AgentPrograms } from '@rancher/contracts';
import { programFile } from '@rancher/domain';
import type { ServerAccess } from '../connection/http.ts';
import { describe } from '../errors.ts';
import type { Log } from '../log.ts';
import { downloadArtifact } from '../prepare/artifact-download.ts';
import { sha256OfFile } from '../prepare/sha256-of-file.ts';
import { run } from '../run.ts';
import { installed } from './paths.ts';

const agent = programFile('agent');

/** Whether this process is the agent of an installed host, and not a local host's or the server's own. */
export function isInstalled(program = process.argv[1] ?? '', folder = installed.program): boolean {
  try {
    return realpathSync(program) === realpathSync(join(folder, agent));
  } catch {
    return false;
  }
}

/**
 * Makes the installed agent, and the Node that it runs on, those of the server: after an upgrade of the server its hosts
 * follow. What comes is tried before it takes the place of what runs, each file by one rename, so that there is a whole
 * agent at every moment. Where it does not succeed, this one goes on.
 * @returns whether another agent is in place now: this process is to end, and whatever keeps it running starts that one
 */
export async function followServer(
  server: ServerAccess,
  wanted: AgentPrograms,
  log: Log,
  folder = installed.program,
): Promise<boolean> {
  const [node, own] = [join(folder, 'node'), join(folder, agent)];
  const sameNode = wanted.node.version === process.versions.node;
  if (sameNode && wanted.agent.version.endsWith(`-${(await sha256OfFile(own)).slice(0, 12)}`)) return false;
  const fresh = `${folder}.new`;
  try {
    rmSync(fresh, { recursive: true, force: true });
    const nothingIsHere = async () => false;
    await downloadArtifact(server, wanted.agent, fresh, nothingIsHere, () => {});
    if (sameNode) linkOrCopy(node, join(fresh, 'node'));
    else await downloadArtifact(server, wanted.node, fresh, nothingIsHere, () => {});
    await run(join(fresh, 'node'), [join(fresh, agent), 'version']);
    if (!sameNode) renameSync(join(fresh, 'node'), node);
    renameSync(join(fresh, agent), own);
    log.info('another agent came with the server', { version: wanted.agent.version });
    return true;
  } catch (error) {
    log.warn('the agent of the server could not be put in place', { error: describe(error) });
    return false;
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

function linkOrCopy(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch {
    copyFileSync(from, to);
  }
}
