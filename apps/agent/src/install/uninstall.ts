import { existsSync, readlinkSync, rmSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { agentPaths } from '@rancher/contracts';
import { hostPaths } from '@rancher/domain';
import { type AgentConfig, readConfig } from '../config.ts';
import { HttpError, send } from '../connection/http.ts';
import { describe } from '../errors.ts';
import { wasRemoved, wipeMachine } from '../host/removal.ts';
import { StateDir } from '../host/state-dir.ts';
import { say } from './install.ts';
import { installed } from './paths.ts';
import { supervisorOfThisMachine } from './supervisor.ts';

/** The server has each instance stopped in order, and its etcd member leave; then the agent wipes the machine. */
const removedWithinMs = 180_000;

/**
 * Gives the host up and removes every trace of it: the server is told and removes it in order, then what is left goes,
 * the agent's own files last.
 * @throws Error when the server is away, or would lose its environment's data, neither with `--force`; or when something
 * could not be removed, with the agent's own files kept, so that it can be run again
 */
export async function uninstall(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      force: { type: 'boolean' },
      uninstall: { type: 'boolean' },
      // Of the command that is run with --uninstall at its end.
      ...Object.fromEntries(ignored.map((name) => [name, { type: 'string', multiple: true }] as const)),
    },
  });
  const force = values.force === true;
  if (existsSync(installed.config)) await giveUp(readConfig(installed.config), force);
  await supervisorOfThisMachine().remove();
  await wipe();
  say('Nothing of the host is left on this machine.');
}

const ignored = ['token', 'name', 'address', 'label', 'folder'];

async function giveUp(config: AgentConfig, force: boolean): Promise<void> {
  const { credential } = new StateDir(config.stateDir);
  if (credential === undefined || wasRemoved(config)) return;
  const access = {
    url: config.serverUrls[0]!,
    pin: config.caSha256,
    credential: credential.credential,
  };
  try {
    await send(access, 'POST', agentPaths.leave, { force });
  } catch (error) {
    // Removed there, or another machine has the identity: there is nobody to tell.
    if (error instanceof HttpError && error.status === 401) return;
    if (!force)
      throw new Error(
        `${describe(error)} Nothing was changed; with --force it is removed here all the same.`,
      );
    say(`The server was not told (${describe(error)}): remove the host there.`);
    return;
  }
  say('Waiting for the server to take the host out of its environment');
  for (const begun = Date.now(); !wasRemoved(config); await delay(200)) {
    if (Date.now() - begun < removedWithinMs) continue;
    say('It takes longer than expected: what is left is ended here.');
    return;
  }
}

async function wipe(): Promise<void> {
  if (existsSync(installed.config)) {
    const left = await wipeMachine(readConfig(installed.config));
    if (left.length > 0)
      throw new Error(
        `Not everything could be removed: ${left.join('; ')}. Run this again once that is mended.`,
      );
  }
  const folder = existsSync(hostPaths.agent) ? linked(hostPaths.agent) : undefined;
  for (const path of [
    installed.run,
    '/run/rancher',
    installed.log,
    `${installed.log}.1`,
    hostPaths.agent,
    folder,
  ]) {
    if (path !== undefined) rmSync(path, { recursive: true, force: true });
  }
}

function linked(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}
