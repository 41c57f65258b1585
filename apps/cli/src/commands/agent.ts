import { type Command, Option } from 'commander';
import { keyValue } from '../options.ts';
import type { OpenContext } from '../program.ts';

export interface AgentOptions {
  server?: string;
  token?: string;
  stop: boolean;
  caSha256?: string;
  name?: string;
  label?: Record<string, string>;
}

export function registerAgent(program: Command, open: OpenContext): void {
  program
    .command('agent')
    .description('make this machine a host: join a server, and stay joined')
    .option('--server <url>', 'the server, such as https://10.0.0.1:8080')
    .option('--token <token>', 'registration token that the server gave')
    .option('--ca-sha256 <hex>', "SHA-256 of the server's certificate, which came with the token")
    .option('--name <name>', "name of this host; the machine's own when left out")
    .addOption(new Option('--label <key=value>', 'a label; can be repeated').argParser(keyValue))
    .option('--stop', 'stop the agent; what it runs goes on. To give a host up: rancher host remove', false)
    .action(async (options: AgentOptions) => {
      const { join, leave } = await import('./agent-run.ts');
      await (options.stop ? leave(open()) : join(open(), options));
    });
}
