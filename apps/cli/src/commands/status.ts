import { existsSync } from 'node:fs';
import { listEnvironments, listHosts } from '@rancher/api-client';
import type { Command } from 'commander';
import type { Context } from '../context.ts';
import { exitCodes, messageOf } from '../errors.ts';
import { jsonOption } from '../options.ts';
import { table } from '../output.ts';
import { processState } from '../processes/kept.ts';
import { serverProcessNames } from '../processes/server.ts';
import type { OpenContext } from '../program.ts';

export interface Status {
  url: string;
  adminKeyFile: string;
  caFile: string | null;
  /** Why the server does not answer; null when it does. */
  error: string | null;
  environments: {
    id: string;
    name: string;
    state: string;
    health: string;
    kubernetesVersion: string;
    kubeconfigFile: string;
    hosts: { id: string; name: string; kind: string; state: string; address: string | null }[];
  }[];
  processes: { name: string; pid: number | null; keeperPid: number | null; logFile: string }[];
}

/** How long the server may take to answer before `status` goes on without it (ms). */
const answerWithinMs = 5000;

export function registerStatus(program: Command, open: OpenContext): void {
  program
    .command('status')
    .description('what runs and where; exit code 1 when the server does not answer')
    .addOption(jsonOption())
    .action((options: { json: boolean }) => status(open(), options));
}

async function status(context: Context, options: { json: boolean }): Promise<void> {
  const found = await readStatus(context);
  if (options.json) context.output.json(found);
  else context.output.print(inWords(found));
  if (found.error !== null) process.exitCode = exitCodes.failure;
}

export async function readStatus(context: Context): Promise<Status> {
  const { settings } = context;
  const { paths, config } = settings;
  const names = serverProcessNames.filter((name) => name !== 'postgres' || config.databaseUrl === undefined);
  const { environments, error } = await readEnvironments(context);
  return {
    url: config.apiUrl,
    adminKeyFile: paths.adminKey,
    caFile: existsSync(paths.ca) ? paths.ca : null,
    error,
    environments,
    processes: names.map((name) => ({ ...processState(paths, name), logFile: `${paths.logs}/${name}.log` })),
  };
}

async function readEnvironments(context: Context): Promise<Pick<Status, 'environments' | 'error'>> {
  const { paths } = context.settings;
  try {
    const signal = AbortSignal.timeout(answerWithinMs);
    const { client } = context;
    const [environments, hosts] = await Promise.all([
      client.all((query) => listEnvironments({ client: client.api, query, signal })),
      client.all((query) => listHosts({ client: client.api, query, signal })),
    ]);
    const shown = environments.map((environment) => ({
      id: environment.id,
      name: environment.name,
      state: environment.status.state,
      health: environment.status.health,
      kubernetesVersion: environment.spec.kubernetesVersion,
      kubeconfigFile: paths.kubeconfig(environment.name),
      hosts: hosts
        .filter((host) => host.environmentId === environment.id)
        .map(({ id, name, spec, status }) => ({
          id,
          name,
          kind: spec.kind,
          state: status.state,
          address: status.address,
        })),
    }));
    return { environments: shown, error: null };
  } catch (error) {
    return { environments: [], error: messageOf(error) };
  }
}

function inWords(found: Status): string {
  const processes = found.processes.map((p) => [
    p.name,
    p.pid === null ? 'stopped' : 'running',
    String(p.pid ?? ''),
  ]);
  const environments = found.environments.map((e) => [
    e.name,
    e.state,
    e.health,
    e.kubernetesVersion,
    e.hosts.map((h) => h.name).join(','),
    e.kubeconfigFile,
  ]);
  const environmentHeader = ['ENVIRONMENT', 'STATE', 'HEALTH', 'KUBERNETES', 'HOSTS', 'KUBECONFIG'];
  return [
    `URL:        ${found.url}${found.error === null ? '' : `\n            ${found.error}`}`,
    `Admin key:  ${found.adminKeyFile}`,
    '',
    table(['PROCESS', 'STATE', 'PID'], processes),
    ...(environments.length === 0 ? [] : ['', table(environmentHeader, environments)]),
  ].join('\n');
}
