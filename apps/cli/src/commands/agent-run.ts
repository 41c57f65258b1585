import { mkdirSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join as joinPath } from 'node:path';
import { checkHostPackages, ensureHostPackages } from '@rancher/artifacts';
import { hostPaths } from '@rancher/domain';
import type { Context } from '../context.ts';
import { Failure, Misuse, Refusal } from '../errors.ts';
import { installationPaths } from '../paths.ts';
import { findProblems, formatProblems } from '../preflight/checks.mjs';
import { gatherFacts } from '../preflight/facts.mjs';
import { ensureRunning } from '../processes/kept.ts';
import { serverProcess } from '../processes/server.ts';
import type { AgentOptions } from './agent.ts';

/** Folder of a joined machine's agent; its pid files and logs are below it, as a server's are below RANCHER_HOME. */
const home = hostPaths.agent;

/** Joins a server with this machine and keeps the agent running. Joined already: the same agent goes on. */
export async function join({ settings, output }: Context, options: AgentOptions): Promise<void> {
  check(options);
  const problems = findProblems(gatherFacts({ home, cache: home, ports: [], ours: [] }));
  if (problems.length > 0) throw new Refusal(formatProblems(problems));
  if ((await checkHostPackages()).length > 0) {
    output.say('· Installing programs of this machine');
    const missing = await ensureHostPackages();
    if (missing.length > 0)
      throw new Failure(missing.map((m) => `${m.name} is missing: ${m.mend}`).join('\n'));
  }
  const file = writeConfig(options);
  const paths = { ...installationPaths(home), run: joinPath(home, 'run'), logs: joinPath(home, 'log') };
  const outcome = await ensureRunning(
    paths,
    serverProcess(settings, 'agent', { args: ['run', '--config', file] }),
  );
  output.print(
    `The agent is ${outcome}; it joins ${options.server}. Its log: ${joinPath(paths.logs, 'agent.log')}`,
  );
}

/** @throws Misuse naming the flag. */
function check({ server, token, caSha256 }: AgentOptions): void {
  if (!URL.canParse(server) || !/^https?:$/.test(new URL(server).protocol)) {
    throw new Misuse(`--server is "${server}": it must be a URL such as https://10.0.0.1:8080`);
  }
  if (token.trim() === '')
    throw new Misuse('--token is empty: it must be a registration token of the server');
  if (caSha256 !== undefined && !/^[0-9a-f]{64}$/i.test(caSha256)) {
    throw new Misuse(`--ca-sha256 is "${caSha256}": it must be 64 hexadecimal digits`);
  }
}

function writeConfig(options: AgentOptions): string {
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
