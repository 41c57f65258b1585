import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join as joinPath } from 'node:path';
import { checkHostPackages, ensureHostPackages } from '@rancher/artifacts';
import { hostPaths } from '@rancher/domain';
import type { Context } from '../context.ts';
import { Failure, Misuse, messageOf, Refusal } from '../errors.ts';
import { type InstallationPaths, installationPaths } from '../paths.ts';
import { findProblems, formatProblems } from '../preflight/checks.mjs';
import { gatherFacts } from '../preflight/facts.mjs';
import { ensureRunning, logTail, stop, waitFor } from '../processes/kept.ts';
import { serverProcess } from '../processes/server.ts';
import type { AgentOptions } from './agent.ts';

/** Folder of a joined machine's agent; its pid files and logs are below it, as a server's are below RANCHER_HOME. */
const home = hostPaths.agent;

const joinWithinMs = 30_000;

/** Joins a server with this machine and keeps the agent running. Joined already: the same agent goes on. */
export async function join({ settings, output }: Context, options: AgentOptions): Promise<void> {
  const { server, token } = check(options);
  const problems = findProblems(gatherFacts({ home, cache: home, ports: [], ours: [] }));
  if (problems.length > 0) throw new Refusal(formatProblems(problems));
  if ((await checkHostPackages()).length > 0) {
    output.say('· Installing programs of this machine');
    const missing = await ensureHostPackages();
    if (missing.length > 0)
      throw new Failure(missing.map((m) => `${m.name} is missing: ${m.mend}`).join('\n'));
  }
  const file = writeConfig({ ...options, server, token });
  const paths = installationPaths(home);
  const outcome = await ensureRunning(
    paths,
    serverProcess(settings, 'agent', { args: ['run', '--config', file] }),
  );
  await joined(paths);
  output.print(`This machine is a host of ${server} (agent ${outcome}; log: ${paths.logs}/agent.log)`);
}

/** Waits for the credential that the server gives. An agent that gets none is stopped: it would ask for ever. */
async function joined(paths: InstallationPaths): Promise<void> {
  try {
    await waitFor('the server to let this machine join', joinWithinMs, () =>
      existsSync(joinPath(home, 'credential')),
    );
  } catch (error) {
    await stop(paths, 'agent');
    throw new Failure(`${messageOf(error)}; the end of its log:\n${logTail(paths, 'agent')}`);
  }
}

/** Stops this machine's agent, and nothing that it runs. */
export async function leave({ output }: Context): Promise<void> {
  const stopped = await stop(installationPaths(home), 'agent');
  output.print(stopped ? 'The agent is stopped.' : 'No agent ran here.');
}

/** @throws Misuse naming the flag. */
function check({ server, token, caSha256 }: AgentOptions): { server: string; token: string } {
  if (server === undefined) throw new Misuse('--server is missing: the URL of the server to join');
  if (token === undefined) throw new Misuse('--token is missing: a registration token of the server');
  if (!URL.canParse(server) || !/^https?:$/.test(new URL(server).protocol)) {
    throw new Misuse(`--server is "${server}": it must be a URL such as https://10.0.0.1:8080`);
  }
  if (token.trim() === '')
    throw new Misuse('--token is empty: it must be a registration token of the server');
  if (caSha256 !== undefined && !/^[0-9a-f]{64}$/i.test(caSha256)) {
    throw new Misuse(`--ca-sha256 is "${caSha256}": it must be 64 hexadecimal digits`);
  }
  return { server, token };
}

function writeConfig(options: AgentOptions & { server: string; token: string }): string {
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const file = joinPath(home, 'config.json');
  const config = {
    kind: 'machine',
    name: options.name ?? hostname(),
    labels: options.label ?? {},
    serverUrl: options.server,
    ...(options.caSha256 === undefined ? {} : { caSha256: options.caSha256.toLowerCase() }),
    token: options.token,
    stateDir: home,
    runDir: '/run/rancher-agent',
  };
  writeFileSync(file, `${JSON.stringify(config, null, 2)}\n`, { mode: 0o600 });
  return file;
}
