import { existsSync, lstatSync, mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import type { JoinResponse } from '@rancher/contracts';
import { hostPaths } from '@rancher/domain';
import { type AgentConfig, parseConfig } from '../config.ts';
import { explainRefusal, isPassing, join } from '../connection/join.ts';
import { gatherFacts } from '../facts.ts';
import { readJson, writeFileIfChanged } from '../files.ts';
import { clearRemoved } from '../host/removal.ts';
import { StateDir } from '../host/state-dir.ts';
import { lookAtMachine, type Needed } from '../preflight/machine.ts';
import { findProblems, inWords } from '../preflight/problems.ts';
import type { InstallOptions } from './options.ts';
import { installed } from './paths.ts';
import { supervisorOfThisMachine } from './supervisor.ts';
import { systemd } from './systemd.ts';

/** A server that starts anew is waited for. */
const reachWithinMs = 30_000;
const retryMs = 1000;

/**
 * Makes this machine a host: joins, puts the program in its place, lets it be kept running. Run again on a host, it
 * stays that host, with the program that comes now.
 * @throws Error in words for whoever ran the command
 */
export async function install(options: InstallOptions): Promise<void> {
  const kept = readJson<Kept>(installed.config);
  assertSameServer(kept, options);
  const folder = folderOf(options.folder);
  const state = new StateDir(folder);
  const supervisor = supervisorOfThisMachine();
  const wanted = configOf(options, kept);
  const config = parseConfig({ ...wanted, token: options.token ?? 'none' });
  await assertFit(
    { ...config, stateDir: folder },
    state.credential === undefined
      ? { ports: options.ports, folders: [hostPaths.etcd, hostPaths.kubelet, hostPaths.podLogs] }
      : { ports: [], folders: [] },
  );
  if (folder !== hostPaths.agent) symlinkSync(folder, hostPaths.agent);
  const joined = await reach(config, state);
  if (state.credential?.hostId !== joined.hostId) state.forget();
  state.credential = { hostId: joined.hostId, credential: joined.credential };
  clearRemoved(hostPaths.agent);
  const { labels: _, ...lasting } = wanted;
  const keeps = {
    ...lasting,
    name: joined.name,
    // systemd has a log of its own.
    ...(supervisor === systemd ? {} : { logFile: installed.log }),
  };
  writeFileIfChanged(installed.config, `${JSON.stringify(keeps, null, 2)}\n`, 0o600);
  putProgram(options.program);
  await supervisor.start();
  const where = joined.environmentName === null ? '' : ` of environment ${joined.environmentName}`;
  say(`This machine is host ${joined.name}${where}; the agent is kept running by ${supervisor.name}.`);
  if (supervisor.caveat !== undefined) say(supervisor.caveat);
}

/** Nothing is joined, and no use of a token counted, before the machine has all that a host needs. */
async function assertFit(config: AgentConfig, needed: Needed): Promise<void> {
  const problems = findProblems(await lookAtMachine(config, needed));
  if (problems.length > 0) throw new Error(inWords(problems));
}

/** What of an earlier configuration is looked at. */
interface Kept {
  name?: string;
  address?: string;
  serverUrl?: string;
  caSha256?: string;
}

function assertSameServer(kept: Kept | undefined, { server, caSha256 }: InstallOptions): void {
  if (kept?.caSha256 === undefined || kept.caSha256 === caSha256) return;
  throw new Error(
    `this machine is a host of another server, ${kept.serverUrl}, and cannot be one of ${server} too: give it up there first (--uninstall)`,
  );
}

/** Where the agent keeps its files. Specs name fixed paths, so another folder is reached by a link from there. */
function folderOf(wished: string | undefined): string {
  const found = lstatSync(hostPaths.agent, { throwIfNoEntry: false });
  if (wished === undefined || wished === hostPaths.agent || found?.isSymbolicLink() === true)
    return hostPaths.agent;
  if (found !== undefined)
    throw new Error(`${hostPaths.agent} is there already: uninstall before another folder is chosen`);
  return wished;
}

function configOf(options: InstallOptions, kept: Kept | undefined) {
  const address = options.address ?? kept?.address;
  return {
    kind: 'machine',
    name: options.name ?? kept?.name ?? hostname(),
    labels: options.labels,
    serverUrl: options.server,
    caSha256: options.caSha256,
    stateDir: hostPaths.agent,
    runDir: installed.run,
    ...(address === undefined ? {} : { address }),
  };
}

/** Joins; nobody answering is waited for a while, as the server may be starting. */
async function reach(config: AgentConfig, state: StateDir): Promise<JoinResponse> {
  const url = config.serverUrls[0]!;
  for (const begun = Date.now(); ; ) {
    try {
      return await join(config, url, gatherFacts(config), state.credential?.credential);
    } catch (error) {
      if (!isPassing(error) || Date.now() - begun > reachWithinMs)
        throw new Error(explainRefusal(error, url));
      await delay(retryMs);
    }
  }
}

/** The program that runs now was started from there: it goes on from the moved file. */
function putProgram(from: string): void {
  if (!existsSync(from)) throw new Error(`--program is ${from}: there is no such folder`);
  mkdirSync(hostPaths.agent, { recursive: true });
  rmSync(installed.program, { recursive: true, force: true });
  renameSync(from, installed.program);
}

export function say(text: string): void {
  process.stdout.write(`· ${text}\n`);
}
