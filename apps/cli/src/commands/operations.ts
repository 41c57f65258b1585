import { cancelOperation, listOperations } from '@rancher/api-client';
import { type Command, Option } from 'commander';
import type { Context } from '../context.ts';
import { findEnvironment } from '../environments.ts';
import { jsonOption } from '../options.ts';
import { age, table } from '../output.ts';
import type { OpenContext } from '../program.ts';

export function registerOperations(program: Command, open: OpenContext): void {
  program
    .command('operations')
    .description('long work that was asked for, and how far it is')
    .addOption(new Option('-e, --environment <name>', 'of one environment, by name or id'))
    .addOption(jsonOption())
    .action((options: { environment?: string; json: boolean }) => operations(open(), options))
    .command('cancel <id>')
    .description('leave what empties a host as far as it is')
    .action(async (id: string) => {
      const { client, output } = open();
      await client.call(cancelOperation({ client: client.api, path: { id } }));
      output.print(`operation ${id} is canceled`);
    });
}

async function operations(
  { client, output }: Context,
  options: { environment?: string; json: boolean },
): Promise<void> {
  const filter =
    options.environment === undefined
      ? {}
      : { environmentId: (await findEnvironment(client, options.environment)).id };
  const all = await client.all((page) =>
    listOperations({ client: client.api, query: { ...page, ...filter } }),
  );
  if (options.json) return output.json(all);
  const rows = all.map((o) => [
    o.type,
    o.target.name ?? o.target.id,
    o.status.state,
    o.status.steps.find((s) => s.state === 'running')?.name ?? '',
    age(o.createdAt),
    o.id,
  ]);
  output.print(table(['OPERATION', 'OF', 'STATE', 'STEP', 'AGE', 'ID'], rows));
}
