import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import type { Context } from '../context.ts';
import { findEnvironment } from '../environments.ts';
import { ensureKubeconfig } from '../kubeconfig.ts';
import { environmentOption, jsonOption } from '../options.ts';
import type { OpenContext } from '../program.ts';

interface Options {
  environment: string;
  print: boolean;
  renew: boolean;
  json: boolean;
}

export function registerKubeconfig(program: Command, open: OpenContext): void {
  program
    .command('kubeconfig')
    .description('write the kubeconfig of an environment, and say where')
    .addOption(environmentOption())
    .option('--print', 'print its content instead of its path', false)
    .option('--renew', 'with a new key, although there is one', false)
    .addOption(jsonOption())
    .action((options: Options) => kubeconfig(open(), options));
}

async function kubeconfig(context: Context, options: Options): Promise<void> {
  const { client, output } = context;
  const environment = await findEnvironment(client, options.environment);
  const file = await ensureKubeconfig(context, environment, { renew: options.renew });
  if (options.json) output.json({ environmentId: environment.id, kubeconfigFile: file });
  else output.print(options.print ? readFileSync(file, 'utf8').trimEnd() : file);
}
