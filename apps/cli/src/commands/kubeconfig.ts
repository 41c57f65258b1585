import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import type { Context } from '../context.ts';
import { writeKubeconfig } from '../kubeconfig.ts';
import { environmentOption, jsonOption } from '../options.ts';
import type { OpenContext } from '../program.ts';
import { findEnvironment } from '../resources.ts';

interface Options {
  environment: string;
  print: boolean;
  json: boolean;
}

export function registerKubeconfig(program: Command, open: OpenContext): void {
  program
    .command('kubeconfig')
    .description('write the kubeconfig of an environment, and say where')
    .addOption(environmentOption())
    .option('--print', 'print its content instead of its path', false)
    .addOption(jsonOption())
    .action((options: Options) => kubeconfig(open(), options));
}

async function kubeconfig({ client, output, settings }: Context, options: Options): Promise<void> {
  const environment = await findEnvironment(client, options.environment);
  const file = await writeKubeconfig(client, settings.paths, environment);
  if (options.json) output.json({ environmentId: environment.id, kubeconfigFile: file });
  else output.print(options.print ? readFileSync(file, 'utf8').trimEnd() : file);
}
