import { Command } from 'commander';
import { registerArtifacts } from './commands/artifacts.ts';
import { registerDown } from './commands/down.ts';
import { registerEnvironment } from './commands/environment.ts';
import { registerEvents } from './commands/events.ts';
import { registerHost } from './commands/host.ts';
import { registerInstances } from './commands/instances.ts';
import { registerKubeconfig } from './commands/kubeconfig.ts';
import { registerOperations } from './commands/operations.ts';
import { registerStatus } from './commands/status.ts';
import { registerToken } from './commands/token.ts';
import { registerUp } from './commands/up.ts';
import { registerVersion } from './commands/version.ts';
import type { Context } from './context.ts';

/** Opens the context when a command runs, so that `--help` needs none. */
export type OpenContext = () => Context;

const kubectlHelp = `
Also:
  kubectl [-e ENV] …             runs kubectl against an environment; everything after is kubectl's own
  test [check|unit|e2e]          runs the tests of this checkout
  check                          lint, types, imports, dead code
  bench create|heal|footprint|scale|dns|failover|cni|network|conformance [--json]

Environment variables: RANCHER_HOME (all state, default /var/lib/rancher), RANCHER_PORT (default 8080), RANCHER_CACHE
(artifacts). What \`up\` was told is kept in $RANCHER_HOME/config.json.`;

/** All commands. Misuse throws a CommanderError whose exit code is not 0. */
export function createProgram(open: OpenContext): Command {
  const program = new Command('rancher')
    .description('A server that runs Kubernetes environments, and heals them.')
    .enablePositionalOptions()
    .showHelpAfterError('(--help shows what there is)')
    .addHelpText('after', kubectlHelp)
    .exitOverride();
  for (const register of [
    registerUp,
    registerDown,
    registerStatus,
    registerEnvironment,
    registerHost,
    registerKubeconfig,
    registerEvents,
    registerInstances,
    registerOperations,
    registerArtifacts,
    registerToken,
    registerVersion,
  ]) {
    register(program, open);
  }
  overrideExits(program);
  return program;
}

/** Subcommands made by `.command()` copy settings only when made after them; these were not. */
function overrideExits(command: Command): void {
  for (const sub of command.commands) {
    sub.exitOverride().showHelpAfterError('(--help shows what there is)');
    overrideExits(sub);
  }
}
