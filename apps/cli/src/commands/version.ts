import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { jsonOption } from '../options.ts';
import { root } from '../paths.ts';
import type { OpenContext } from '../program.ts';

export function registerVersion(program: Command, open: OpenContext): void {
  program
    .command('version')
    .description('of this program, and of the Node.js it runs on')
    .addOption(jsonOption())
    .action((options: { json: boolean }) => {
      const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
      const { output } = open();
      if (options.json) output.json({ version, node: process.versions.node });
      else output.print(`rancher ${version} (Node.js ${process.versions.node})`);
    });
}
