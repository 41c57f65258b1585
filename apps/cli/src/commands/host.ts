import { createHost, deleteHost, getHost, listHosts, type Operation } from '@rancher/api-client';
import { type Command, Option } from 'commander';
import type { Context } from '../context.ts';
import { findEnvironment, findHost, hostsOf } from '../environments.ts';
import { environmentOption, jsonOption, timeoutOption, waitOption } from '../options.ts';
import { age, table } from '../output.ts';
import type { OpenContext } from '../program.ts';
import { wait } from '../progress/wait.ts';
import {
  type DrainFlags,
  deadlineOption,
  drainBody,
  gracePeriodOption,
  registerHostActions,
} from './host-actions.ts';
import { addJoinOptions, type JoinOptions, printJoinCommand, registerJoining } from './host-joining.ts';

interface AddOptions extends JoinOptions {
  local?: boolean;
  network?: string;
  wait: boolean;
  timeout: number;
}

interface RemoveOptions extends DrainFlags {
  environment: string;
  force: boolean;
  wait: boolean;
  timeout: number;
  json: boolean;
}

export function registerHost(program: Command, open: OpenContext): void {
  const host = program.command('host').description('hosts of environments');
  addJoinOptions(
    host
      .command('add')
      .description('add a host: print the command to run on a machine, or make one on this machine')
      .option('--local', 'made on this machine'),
  )
    .addOption(environmentOption())
    .option('--name <name>', 'its name; the server makes one')
    .option('--network <name>', 'network of this machine that it is on: a subnet of its own', 'default')
    .addOption(waitOption())
    .addOption(timeoutOption(300))
    .addOption(jsonOption())
    .action((options: AddOptions) => add(open(), options));
  host
    .command('list')
    .alias('ls')
    .description('hosts of an environment')
    .addOption(new Option('-e, --environment <name>', 'environment, by name or id; all when left out'))
    .addOption(jsonOption())
    .action((options: { environment?: string; json: boolean }) => list(open(), options));
  host
    .command('remove <host>')
    .alias('rm')
    .description('remove a host, by name or id: its pods are evicted, it leaves etcd, it is wiped')
    .addOption(environmentOption())
    .option('--force', 'without draining it: for a host that is gone', false)
    .addOption(deadlineOption())
    .addOption(gracePeriodOption())
    .addOption(waitOption())
    .addOption(timeoutOption(300))
    .addOption(jsonOption())
    .action((name: string, options: RemoveOptions) => remove(open(), name, options));
  registerHostActions(host, open);
  registerJoining(host, open);
}

async function add(context: Context, options: AddOptions): Promise<void> {
  if (options.local !== true) return printJoinCommand(context, options);
  const { client, output } = context;
  const environment = await findEnvironment(client, options.environment);
  const body = {
    kind: 'local' as const,
    ...(options.name === undefined ? {} : { name: options.name }),
    ...(options.network === undefined ? {} : { network: options.network }),
    ...(options.label === undefined ? {} : { labels: options.label }),
  };
  const answer = createHost({ client: client.api, path: { id: environment.id }, body });
  const operation = (await client.call(answer)) as Operation;
  if (options.wait)
    await wait(
      context,
      `Adding host ${operation.target.name ?? operation.target.id}`,
      operation,
      options.timeout,
    );
  const host = await client.call(getHost({ client: client.api, path: { id: operation.target.id } }));
  if (options.json) output.json(host);
  else output.print(`host ${host.name} (${host.id}) is ${host.status.state}`);
}

async function list(
  { client, output }: Context,
  options: { environment?: string; json: boolean },
): Promise<void> {
  const hosts =
    options.environment === undefined
      ? await client.all((query) => listHosts({ client: client.api, query }))
      : await hostsOf(client, (await findEnvironment(client, options.environment)).id);
  if (options.json) return output.json(hosts);
  const rows = hosts.map((h) => [
    h.name,
    h.spec.kind,
    h.status.state,
    h.status.address ?? '',
    h.environmentId ?? '',
    age(h.createdAt),
    h.id,
  ]);
  output.print(table(['NAME', 'KIND', 'STATE', 'ADDRESS', 'ENVIRONMENT', 'AGE', 'ID'], rows));
}

async function remove(context: Context, name: string, options: RemoveOptions): Promise<void> {
  const { client, output } = context;
  const host = await findHost(client, options.environment, name);
  const operation = (await client.call(
    deleteHost({
      client: client.api,
      path: { id: host.id },
      query: { ...drainBody(options), force: options.force },
    }),
  )) as Operation;
  if (options.wait) await wait(context, `Removing host ${host.name}`, operation, options.timeout);
  if (options.json) output.json(operation);
  else output.print(`host ${host.name} (${host.id}) is ${options.wait ? 'removed' : 'being removed'}`);
}
