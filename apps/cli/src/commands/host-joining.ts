import {
  createEnvironmentRegistrationToken,
  type RegistrationTokenCreated,
  replaceHostIdentity,
  updateHost,
} from '@rancher/api-client';
import { type Command, Option } from 'commander';
import type { Context } from '../context.ts';
import { findEnvironment, findHost } from '../environments.ts';
import { Misuse } from '../errors.ts';
import { environmentOption, jsonOption, keyValue, wholeNumber } from '../options.ts';
import type { OpenContext } from '../program.ts';

export interface JoinOptions {
  environment: string;
  name?: string;
  address?: string;
  label?: Record<string, string>;
  uses?: number;
  expires?: number;
  container?: boolean;
  json: boolean;
}

/** What a command may say of the machine that is to join, and of the token. */
export function addJoinOptions(command: Command): Command {
  return command
    .option('--address <address>', 'where other hosts reach it')
    .addOption(new Option('--label <key=value>', 'a label; can be repeated').argParser(keyValue))
    .addOption(
      new Option('--uses <n>', 'how many machines may join with it (1)').argParser(wholeNumber(1, 10_000)),
    )
    .addOption(
      new Option('--expires <seconds>', 'how long it is good for (3600)').argParser(
        wholeNumber(1, 31_536_000),
      ),
    )
    .option('--container', 'the command that makes a container the host, instead of the machine itself');
}

export function registerJoining(host: Command, open: OpenContext): void {
  addJoinOptions(
    host
      .command('token')
      .description('make a registration token, and print the command to run on the machine that is to join'),
  )
    .addOption(environmentOption())
    .option('--name <name>', "its name; the machine's own when left out")
    .addOption(jsonOption())
    .action((options: JoinOptions) => printJoinCommand(open(), options));
  host
    .command('label <host> <labels...>')
    .description('set labels (key=value) and remove them (key-); its Node has the same at once')
    .addOption(environmentOption())
    .addOption(jsonOption())
    .action((name: string, labels: string[], options: { environment: string; json: boolean }) =>
      label(open(), name, labels, options),
    );
  host
    .command('replace-identity <host>')
    .description('end the credential of a machine, and print the command that makes a machine this host')
    .addOption(environmentOption())
    .addOption(jsonOption())
    .action((name: string, options: { environment: string; json: boolean }) =>
      replaceIdentity(open(), name, options),
    );
}

/** Prints the command alone on standard output, so that it can be piped to where it is to run. */
export async function printJoinCommand(context: Context, options: JoinOptions): Promise<void> {
  const { client } = context;
  const environment = await findEnvironment(client, options.environment);
  const body = {
    ...(options.name === undefined ? {} : { name: options.name }),
    ...(options.address === undefined ? {} : { address: options.address }),
    ...(options.label === undefined ? {} : { labels: options.label }),
    ...(options.uses === undefined ? {} : { maxUses: options.uses }),
    ...(options.expires === undefined ? {} : { expiresInSeconds: options.expires }),
  };
  const answer = createEnvironmentRegistrationToken({
    client: client.api,
    path: { id: environment.id },
    body,
  });
  const created = await client.call(answer);
  say(
    context,
    created,
    options,
    `Run this as root on the machine that is to be a host of ${environment.name}:`,
  );
}

function say(
  { settings, output }: Context,
  created: RegistrationTokenCreated,
  options: { container?: boolean; json: boolean },
  introduction: string,
): void {
  if (options.json) {
    output.json(created);
    return;
  }
  const { advertise } = settings.config;
  if (/^(localhost|127\.|\[::1\])/.test(advertise)) {
    output.say(
      `No other machine reaches this server at ${advertise}: set RANCHER_LISTEN (such as 0.0.0.0) and RANCHER_ADVERTISE (such as 192.168.1.10:${settings.config.port}), and run \`rancher up\` again.`,
    );
  }
  output.say(introduction);
  output.print((options.container === true ? created.containerCommand : created.command) ?? '');
}

async function label(
  context: Context,
  name: string,
  changes: string[],
  options: { environment: string; json: boolean },
): Promise<void> {
  const labels = parseLabelChanges(changes);
  const { client, output } = context;
  const { id } = await findHost(client, options.environment, name);
  const changed = await client.call(
    updateHost({ client: client.api, path: { id }, headers: { 'if-match': '*' }, body: { labels } }),
  );
  if (options.json) return output.json(changed);
  const pairs = Object.entries(changed.labels).map(([key, value]) => `${key}=${value}`);
  output.print(`${changed.name}: ${pairs.join(' ')}`);
}

/** As kubectl has them: `key=value` sets, `key-` removes. @throws Misuse */
export function parseLabelChanges(changes: string[]): Record<string, string | null> {
  return Object.fromEntries(
    changes.map((text) => {
      const at = text.indexOf('=');
      if (at > 0) return [text.slice(0, at), text.slice(at + 1)];
      if (at < 0 && text.length > 1 && text.endsWith('-')) return [text.slice(0, -1), null];
      throw new Misuse(`"${text}" must be key=value, or key- to remove it`);
    }),
  );
}

async function replaceIdentity(
  context: Context,
  name: string,
  options: { environment: string; json: boolean },
): Promise<void> {
  const { client } = context;
  const host = await findHost(client, options.environment, name);
  const created = await client.call(replaceHostIdentity({ client: client.api, path: { id: host.id } }));
  say(
    context,
    created,
    options,
    `Run this as root on the machine that is to be host ${host.name} from now on:`,
  );
}
