import type { Command } from 'commander';
import { jsonOption } from '../options.ts';
import type { OpenContext } from '../program.ts';

export function registerArtifacts(program: Command, open: OpenContext): void {
  const artifacts = program
    .command('artifacts')
    .description('the programs that hosts run, kept in RANCHER_CACHE');
  artifacts
    .command('fetch <version...>')
    .description('get all that hosts need for these Kubernetes versions, ahead of time')
    .addOption(jsonOption())
    .action(async (versions: string[], options: { json: boolean }) => {
      const { fetchArtifacts } = await import('./artifacts-run.ts');
      await fetchArtifacts(open(), versions, options);
    });
  artifacts
    .command('list')
    .alias('ls')
    .description('what is there, for each Kubernetes version that an environment may have')
    .addOption(jsonOption())
    .action(async (options: { json: boolean }) => {
      const { listArtifacts } = await import('./artifacts-run.ts');
      await listArtifacts(open(), options);
    });
}
