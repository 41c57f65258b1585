import type { Command } from 'commander';
import type { OpenContext } from '../program.ts';

export interface DownOptions {
  purge: boolean;
}

export function registerDown(program: Command, open: OpenContext): void {
  program
    .command('down')
    .description('stop everything of this installation, leaving the data')
    .option('--purge', 'remove every trace: processes, mounts, namespaces, cgroups, networks, files', false)
    .action(async (options: DownOptions) => {
      const { down } = await import('./down/run.ts');
      await down(open(), options);
    });
}
