import type { Command } from 'commander';
import { jsonOption, timeoutOption } from '../options.ts';
import type { OpenContext } from '../program.ts';

export interface UpOptions {
  json: boolean;
  timeout: number;
}

export function registerUp(program: Command, open: OpenContext): void {
  program
    .command('up')
    .description('install what is missing, start the server and the first environment on this machine')
    .addOption(timeoutOption(600))
    .addOption(jsonOption())
    .action(async (options: UpOptions) => {
      const { up } = await import('./up/run.ts');
      await up(open(), options);
    });
}
