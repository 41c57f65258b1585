import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { ensureBridge } from '@rancher/agent-app/local-hosts';
import { type Host, listHosts } from '@rancher/api-client';
import type { Client } from '../../client.ts';
import { Failure, messageOf } from '../../errors.ts';
import { portHolder } from '../../preflight/facts.mjs';
import { ensureRunning, logTail, processState, waitFor } from '../../processes/kept.ts';
import { type ServerProcessName, serverProcess } from '../../processes/server.ts';
import type { Step } from '../../progress/step.ts';
import { type Settings, storeSettings } from '../../settings.ts';

/** The server's processes as `up` brings them up; what one step learns is here for the next. */
export interface Server {
  settings: Settings;
  /** Beside the settings, for api and worker. */
  env: Record<string, string>;
  /** Whether anything was started or made. */
  changed: boolean;
  /** When the API was started by this `up`; null when it ran before. Older connections of agents are of an earlier one. */
  apiStartedAt: Date | null;
}

export function createServer(settings: Settings): Server {
  return { settings, env: {}, changed: false, apiStartedAt: null };
}

const readyWithinMs = 60_000;

export function serverSteps(server: Server, client: () => Client): Step[] {
  const { config } = server.settings;
  return [
    { title: 'Network of local hosts', run: () => bridge(server) },
    ...(config.databaseUrl === undefined ? [{ title: 'Postgres', run: () => postgres(server) }] : []),
    { title: 'API', run: (_report, signal) => api(server, signal) },
    { title: 'Worker', run: () => worker(server) },
    { title: 'Agent of this machine', run: (_report, signal) => agent(server, client(), signal) },
  ];
}

async function start(server: Server, name: ServerProcessName, args: string[] = []): Promise<string> {
  const wanted = serverProcess(server.settings, name, { args, env: server.env });
  const outcome = await ensureRunning(server.settings.paths, wanted);
  if (outcome !== 'already running') server.changed = true;
  return outcome;
}

/** Adds the end of a process's log to why it is not ready. */
async function becomesReady(
  server: Server,
  name: ServerProcessName,
  ready: () => boolean | Promise<boolean>,
  signal?: AbortSignal,
): Promise<void> {
  try {
    await waitFor(`${name} to be ready`, readyWithinMs, ready, signal);
  } catch (error) {
    if (signal?.aborted) throw error;
    const { paths } = server.settings;
    throw new Failure(`${messageOf(error)}; the end of ${paths.logs}/${name}.log:\n${logTail(paths, name)}`);
  }
}

async function bridge(server: Server): Promise<string> {
  const { settings } = server;
  const { name, address, subnet } = await ensureBridge(settings.paths.home);
  // Agents of local hosts dial the server at the bridge.
  server.env.RANCHER_LISTEN = [...new Set([...settings.config.listen, address])].join(',');
  return `${name}, ${subnet}`;
}

/** Keeps the port of last time, unless a stranger took it meanwhile: nothing outside depends on it. */
function postgresPort(server: Server): number {
  const { settings } = server;
  const pid = processState(settings.paths, 'postgres').pid;
  const wanted = Number(settings.stored.variables?.RANCHER_POSTGRES_PORT ?? settings.config.postgresPort);
  if (pid !== null) return wanted;
  let port = wanted;
  while (portHolder(port, []) !== null && !heldByOwnPostgres(settings, port)) port += 1;
  return port;
}

/** A Postgres whose keeper was killed still holds its port while it shuts down. */
function heldByOwnPostgres(settings: Settings, port: number): boolean {
  try {
    const [pid, , , heldPort] = readFileSync(
      join(settings.paths.home, 'postgres/data/postmaster.pid'),
      'utf8',
    ).split('\n');
    return Number(heldPort) === port && existsSync(`/proc/${pid}`);
  } catch {
    return false;
  }
}

async function postgres(server: Server): Promise<string> {
  const { settings } = server;
  const dir = join(settings.paths.home, 'postgres');
  const port = postgresPort(server);
  settings.childEnvironment.RANCHER_POSTGRES_PORT = String(port);
  settings.stored = storeSettings(settings);
  mkdirSync(dir, { recursive: true });
  const outcome = await start(server, 'postgres', ['--dir', dir, '--port', String(port)]);
  const { paths } = settings;
  await becomesReady(server, 'postgres', () =>
    postgresReady(dir, outcome === 'already running' ? null : paths.logs),
  );
  return `${outcome}, port ${port}`;
}

/**
 * As pg_ctl looks: the postmaster writes `ready` into its pid file. Freshly started, it still has to be given its
 * database: its log then says so.
 */
function postgresReady(dir: string, logs: string | null): boolean {
  try {
    const lines = readFileSync(join(dir, 'data/postmaster.pid'), 'utf8').split('\n');
    const runs = lines[7]?.trim() === 'ready' && existsSync(`/proc/${lines[0]}`);
    return (
      runs &&
      (logs === null || readFileSync(join(logs, 'postgres.log'), 'utf8').includes(`"pid":${lines[0]}}`))
    );
  } catch {
    return false;
  }
}

async function api(server: Server, signal: AbortSignal): Promise<string> {
  const begun = new Date();
  const outcome = await start(server, 'api');
  if (outcome !== 'already running') server.apiStartedAt = begun;
  const { config, paths } = server.settings;
  await becomesReady(server, 'api', () => answers(`${config.apiUrl}/readyz`), signal);
  await becomesReady(server, 'api', () => existsSync(paths.adminKey), signal);
  return `${outcome}, ${config.apiUrl}`;
}

async function answers(url: string): Promise<boolean> {
  try {
    return (await fetch(url, { signal: AbortSignal.timeout(2000) })).ok;
  } catch {
    return false;
  }
}

const worker = (server: Server) => start(server, 'worker');

/** The machine's own agent: joins with the API's token the first time, afterwards with its credential. */
async function agent(server: Server, client: Client, signal: AbortSignal): Promise<string> {
  const { paths, config } = server.settings;
  const folder = join(paths.home, 'agent');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, 'config.json');
  const wanted = {
    kind: 'machine',
    name: hostname(),
    labels: {},
    serverUrl: `https://127.0.0.1:${config.port}`,
    caSha256: await caSha256(paths.ca),
    // Made by the API on its first start; of no use once joined.
    tokenFile: join(paths.home, 'machine.token'),
    stateDir: folder,
    runDir: join(folder, 'run'),
    artifactsDir: join(config.cache, 'artifacts'),
    localHosts: { home: paths.home },
  };
  writeFileSync(file, `${JSON.stringify(wanted, null, 2)}\n`, { mode: 0o600 });
  const outcome = await start(server, 'agent', ['run', '--config', file]);
  await becomesReady(server, 'agent', () => machineConnected(client, server), signal);
  return outcome;
}

async function caSha256(file: string): Promise<string> {
  const { certificateSha256 } = await import('@rancher/pki');
  return certificateSha256(readFileSync(file, 'utf8'));
}

/** A connection noted before the API was started is of its predecessor. */
export function connectedNow(host: Host, server: Server): boolean {
  const { connected, connectedAt } = host.status;
  return (
    connected && connectedAt !== null && Date.parse(connectedAt) >= (server.apiStartedAt?.getTime() ?? 0)
  );
}

async function machineConnected(client: Client, server: Server): Promise<boolean> {
  const hosts = await client.all((page) =>
    listHosts({ client: client.api, query: { ...page, kind: 'machine' } }),
  );
  return hosts.some(
    (host) => host.spec.kind === 'machine' && host.name === hostname() && connectedNow(host, server),
  );
}
