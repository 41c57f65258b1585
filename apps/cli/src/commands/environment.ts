import { rmSync } from 'node:fs';
import {
  createEnvironment,
  deleteEnvironment,
  type Environment,
  getEnvironment,
  getOperation,
  type Host,
  type Operation,
  releaseBrake,
} from '@rancher/api-client';
import { type Command, Option } from 'commander';
import type { Context } from '../context.ts';
import { environmentsOf, findEnvironment, hostsOf } from '../environments.ts';
import { jsonOption, keyValue, timeoutOption, waitOption, wholeNumber } from '../options.ts';
import { age, type Output, table } from '../output.ts';
import type { OpenContext } from '../program.ts';
import { wait } from '../progress/wait.ts';
import { registerRecover } from './environment-recover.ts';
import { type Replicas, registerUpdate, replicasOption } from './environment-update.ts';

interface CreateOptions {
  version?: string;
  hosts: number;
  networks?: string[];
  description?: string;
  label?: Record<string, string>;
  podCidr?: string;
  serviceCidr?: string;
  controlPlaneReplicas?: Replicas;
  dryRun: boolean;
  wait: boolean;
  timeout: number;
  json: boolean;
}

export function registerEnvironment(program: Command, open: OpenContext): void {
  const environment = program.command('environment').alias('env').description('Kubernetes clusters');
  environment
    .command('create <name>')
    .description('make an environment with local hosts on this machine')
    .option('--version <version>', 'Kubernetes version; the server has a default')
    .addOption(new Option('--hosts <count>', 'local hosts').default(1).argParser(wholeNumber(0, 100)))
    .option('--networks <names...>', 'networks of this machine that the hosts are spread over')
    .option('--description <text>', 'what it is for')
    .addOption(new Option('--label <key=value>', 'a label; can be repeated').argParser(keyValue))
    .option('--pod-cidr <cidr>', 'addresses of pods')
    .option('--service-cidr <cidr>', 'addresses of services')
    .addOption(replicasOption())
    .option('--dry-run', 'show the plan, make nothing', false)
    .addOption(waitOption())
    .addOption(timeoutOption(600))
    .addOption(jsonOption())
    .action((name: string, options: CreateOptions) => create(open(), name, options));
  registerUpdate(environment, open);
  registerRecover(environment, open);
  environment
    .command('list')
    .alias('ls')
    .description('all environments')
    .addOption(jsonOption())
    .action((options: { json: boolean }) => list(open(), options));
  environment
    .command('show <name>')
    .description('one environment, with what it waits for')
    .addOption(jsonOption())
    .action((name: string, options: { json: boolean }) => show(open(), name, options));
  environment
    .command('release-brake <name>')
    .description('let what ran on hosts that vanished together be started elsewhere')
    .addOption(jsonOption())
    .action((name: string, options: { json: boolean }) => release(open(), name, options));
  environment
    .command('delete <name>')
    .alias('rm')
    .description('remove an environment, its hosts and all its data')
    .addOption(waitOption())
    .addOption(timeoutOption(300))
    .addOption(jsonOption())
    .action((name: string, options: { wait: boolean; timeout: number; json: boolean }) =>
      remove(open(), name, options),
    );
}

function creationBody(name: string, options: CreateOptions) {
  return {
    name,
    ...(options.description === undefined ? {} : { description: options.description }),
    ...(options.label === undefined ? {} : { labels: options.label }),
    spec: {
      ...(options.version === undefined ? {} : { kubernetesVersion: options.version.replace(/^v/, '') }),
      ...(options.podCidr === undefined ? {} : { podCidr: options.podCidr }),
      ...(options.serviceCidr === undefined ? {} : { serviceCidr: options.serviceCidr }),
      ...(options.controlPlaneReplicas === undefined
        ? {}
        : { controlPlane: { replicas: options.controlPlaneReplicas } }),
      hosts: {
        local: options.hosts,
        ...(options.networks === undefined ? {} : { networks: options.networks }),
      },
    },
  };
}

async function create(context: Context, name: string, options: CreateOptions): Promise<void> {
  const { client, output } = context;
  const body = creationBody(name, options);
  if (options.dryRun) {
    output.json(await client.call(createEnvironment({ client: client.api, body, query: { dryRun: true } })));
    return;
  }
  const operation = (await client.call(createEnvironment({ client: client.api, body }))) as Operation;
  if (options.wait) await wait(context, `Making environment ${name}`, operation, options.timeout);
  const made = await client.call(getEnvironment({ client: client.api, path: { id: operation.target.id } }));
  if (options.json) output.json(made);
  else output.print(`environment ${name} (${made.id}) is ${made.status.state}`);
}

async function release({ client, output }: Context, name: string, options: { json: boolean }): Promise<void> {
  const { id } = await findEnvironment(client, name);
  const changed = await client.call(releaseBrake({ client: client.api, path: { id } }));
  if (options.json) output.json(changed);
  else output.print(`the brake of environment ${changed.name} is released`);
}

async function remove(
  context: Context,
  name: string,
  options: { wait: boolean; timeout: number; json: boolean },
): Promise<void> {
  const { client, output, settings } = context;
  const found = await findEnvironment(client, name);
  const { id } = found;
  const operation = (await client.call(deleteEnvironment({ client: client.api, path: { id } }))) as Operation;
  rmSync(settings.paths.environment(found.name), { recursive: true, force: true });
  if (options.wait) await wait(context, `Removing environment ${name}`, operation, options.timeout);
  const after = options.wait
    ? await client.call(getOperation({ client: client.api, path: { id: operation.id } }))
    : operation;
  if (options.json) output.json(after);
  else output.print(`environment ${name} (${id}) is ${options.wait ? 'removed' : 'being removed'}`);
}

async function list({ client, output }: Context, options: { json: boolean }): Promise<void> {
  const environments = await environmentsOf(client);
  if (options.json) return output.json(environments);
  const rows = environments.map((e) => [
    e.name,
    e.status.state,
    e.status.health,
    e.spec.kubernetesVersion,
    age(e.createdAt),
    e.id,
  ]);
  output.print(table(['NAME', 'STATE', 'HEALTH', 'KUBERNETES', 'AGE', 'ID'], rows));
}

async function show({ client, output }: Context, name: string, options: { json: boolean }): Promise<void> {
  const environment = await findEnvironment(client, name);
  const hosts = await hostsOf(client, environment.id);
  if (options.json) return output.json({ ...environment, hosts });
  print(output, environment, hosts);
}

function print(output: Output, environment: Environment, hosts: Host[]): void {
  const { spec, status } = environment;
  const facts = [
    ['Name', environment.name],
    ['Id', environment.id],
    ['State', status.state],
    ['Health', status.health],
    ['Kubernetes', spec.kubernetesVersion],
    ['Pods', spec.podCidr],
    ['Services', spec.serviceCidr],
    [
      'Control plane',
      `on ${spec.controlPlane.replicas} ${spec.controlPlane.replicas === 1 ? 'host' : 'hosts'}`,
    ],
    ['Age', age(environment.createdAt)],
  ];
  output.print(facts.map(([key, value]) => `${`${key}:`.padEnd(12)}${value}`).join('\n'));
  const hostRows = hosts.map((h) => [h.name, h.spec.kind, h.status.state, h.status.address ?? '']);
  output.print(`\n${table(['HOST', 'KIND', 'STATE', 'ADDRESS'], hostRows)}`);
  const conditions = status.conditions.map((c) => [
    c.type,
    c.status,
    c.reason,
    age(c.lastTransitionTime),
    c.message,
  ]);
  output.print(`\n${table(['CONDITION', 'STATUS', 'REASON', 'SINCE', 'MESSAGE'], conditions)}`);
}
