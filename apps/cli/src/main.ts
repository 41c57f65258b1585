/**
 * `rancher`: brings the server up and down on this machine; for everything else a client of its REST API. Exit codes:
 * 0 success, 1 failure, 2 misuse. This is the CLI's only place that reads the process's environment.
 */
import { CommanderError } from 'commander';
import { runKubectl } from './commands/kubectl.ts';
import { createContext } from './context.ts';
import { exitCodeOf, exitCodes, messageOf, Refusal } from './errors.ts';
import { createProgram } from './program.ts';

/** Runs one command line (without node and the script). Returns the exit code. */
export async function main(args: string[], env: NodeJS.ProcessEnv): Promise<number> {
  try {
    // kubectl's own flags are not ours to parse.
    if (args[0] === 'kubectl') return await runKubectl(createContext(env), args.slice(1), env);
    await createProgram(() => createContext(env)).parseAsync(args, { from: 'user' });
    // A command that answered and yet has bad news says so there.
    return Number(process.exitCode ?? exitCodes.success);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.success : exitCodes.misuse;
    process.stderr.write(`${error instanceof Refusal ? '' : 'rancher: '}${messageOf(error)}\n`);
    return exitCodeOf(error);
  }
}

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // `rancher events | head`: whoever reads has enough.
  if (error.code === 'EPIPE') process.exit(exitCodes.success);
  throw error;
});
const code = await main(process.argv.slice(2), process.env);
// A pipe holds 64 KiB: what its reader has not taken yet would be lost.
for (const stream of [process.stdout, process.stderr]) {
  await new Promise((written) => stream.write('', written));
}
// Exits at once, as what a Ctrl-C gave up on (a download, a build) may still be under way.
process.exit(code);
