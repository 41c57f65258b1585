import {
  deleteRegistrationToken,
  listEnvironmentRegistrationTokens,
  listRegistrationTokens,
} from '@rancher/api-client';
import { type Command, Option } from 'commander';
import type { Context } from '../context.ts';
import { findEnvironment } from '../environments.ts';
import { jsonOption } from '../options.ts';
import { age, table } from '../output.ts';
import type { OpenContext } from '../program.ts';

export function registerToken(program: Command, open: OpenContext): void {
  const token = program
    .command('token')
    .description('registration tokens, which machines join with (made by: rancher host token)');
  token
    .command('list')
    .alias('ls')
    .description('tokens, without their secrets')
    .addOption(new Option('-e, --environment <name>', 'environment, by name or id; all when left out'))
    .addOption(jsonOption())
    .action((options: { environment?: string; json: boolean }) => list(open(), options));
  token
    .command('revoke <id>')
    .description('revoke a token; hosts that joined with it stay')
    .action(async (id: string) => {
      const { client, output } = open();
      await client.call(deleteRegistrationToken({ client: client.api, path: { id } }));
      output.print(`token ${id} is revoked`);
    });
}

async function list(
  { client, output }: Context,
  options: { environment?: string; json: boolean },
): Promise<void> {
  const { environment } = options;
  const id = environment === undefined ? undefined : (await findEnvironment(client, environment)).id;
  const tokens = await client.all((query) =>
    id === undefined
      ? listRegistrationTokens({ client: client.api, query })
      : listEnvironmentRegistrationTokens({ client: client.api, path: { id }, query }),
  );
  if (options.json) return output.json(tokens);
  const rows = tokens.map((t) => [
    t.id,
    t.status.state,
    `${t.status.uses}/${t.spec.maxUses}`,
    t.spec.expiresAt,
    t.environmentId ?? '',
    age(t.createdAt),
    t.description,
  ]);
  output.print(table(['ID', 'STATE', 'USES', 'EXPIRES', 'ENVIRONMENT', 'AGE', 'DESCRIPTION'], rows));
}
