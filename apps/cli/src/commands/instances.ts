import { listEnvironmentInstances } from '@rancher/api-client';
import type { Command } from 'commander';
import type { Context } from '../context.ts';
import { findEnvironment, hostsOf } from '../environments.ts';
import { environmentOption, jsonOption } from '../options.ts';
import { age, table } from '../output.ts';
import type { OpenContext } from '../program.ts';

export function registerInstances(program: Command, open: OpenContext): void {
  program
    .command('instances')
    .description('what runs in an environment: each component on each host')
    .addOption(environmentOption())
    .addOption(jsonOption())
    .action((options: { environment: string; json: boolean }) => instances(open(), options));
}

async function instances(
  { client, output }: Context,
  options: { environment: string; json: boolean },
): Promise<void> {
  const { id } = await findEnvironment(client, options.environment);
  const [rows, hosts] = await Promise.all([
    client.all((query) => listEnvironmentInstances({ client: client.api, path: { id }, query })),
    hostsOf(client, id),
  ]);
  const names = new Map(hosts.map((host) => [host.id, host.name]));
  const shown = rows
    .filter(({ status }) => status.state !== 'removed')
    .map((instance) => ({
      id: instance.id,
      component: instance.service,
      host: names.get(instance.hostId) ?? instance.hostId,
      state: instance.status.state,
      health: instance.status.health,
      pid: instance.status.pid,
      since: instance.status.startedAt ?? instance.createdAt,
      restarts: instance.status.restarts,
      lastReason: instance.status.message ?? instance.spec.reason,
    }));
  if (options.json) return output.json(shown);
  const cells = shown.map((i) => [
    i.component,
    i.host,
    i.state,
    i.health,
    String(i.pid ?? ''),
    age(i.since),
    String(i.restarts),
    i.lastReason,
  ]);
  const header = ['COMPONENT', 'HOST', 'STATE', 'HEALTH', 'PID', 'SINCE', 'RESTARTS', 'LAST REASON'];
  output.print(table(header, cells));
}
