import { parseArgs } from 'node:util';
import { Agent } from './agent.ts';
import { type AgentConfig, readConfig } from './config.ts';
import { describe } from './errors.ts';
import { agentVersion } from './facts.ts';
import { markRemoved, wasRemoved, wipeMachine } from './host/removal.ts';
import { install } from './install/install.ts';
import { parseInstallOptions } from './install/options.ts';
import { exitForGood } from './install/paths.ts';
import { uninstall } from './install/uninstall.ts';
import { followServer, isInstalled } from './install/update.ts';
import { LocalHosts } from './local-hosts/local-hosts.ts';
import { powerOff } from './local-hosts/power-off.ts';
import { purgeInstallation } from './local-hosts/purge.ts';
import { createLog } from './log.ts';
import { provideNode } from './provide-node.ts';

const usage = 'usage: agent [run|down|purge] --config FILE, agent install|uninstall|version …';

async function main(): Promise<void> {
  const [first, ...rest] = process.argv.slice(2);
  if (first === 'install') return await install(parseInstallOptions(rest));
  if (first === 'uninstall') return await uninstall(rest);
  if (first === 'version') return void process.stdout.write(`${agentVersion}\n`);
  const { values, positionals } = parseArgs({
    options: { config: { type: 'string' } },
    allowPositionals: true,
  });
  const [command = 'run'] = positionals;
  if (values.config === undefined) throw new Error(usage);
  const config = readConfig(values.config);
  if (command === 'run') return await run(config);
  const home = config.localHosts?.home;
  if (home === undefined) throw new Error(`${values.config}: localHosts is missing: nothing to ${command}`);
  if (command === 'down') return await powerOff(home);
  if (command === 'purge') return await purgeInstallation(home);
  throw new Error(usage);
}

async function run(config: AgentConfig): Promise<void> {
  const log = createLog(config.name, config.logFile);
  if (wasRemoved(config)) {
    log.error('this host was removed from its server; it does not join again by itself');
    process.exit(exitForGood);
  }
  if (config.localHosts === undefined) provideNode();
  let following: Promise<boolean> | undefined;
  const agent = new Agent(config, {
    log,
    ...(config.localHosts === undefined
      ? {}
      : { localHosts: (access) => LocalHosts.open({ config, log, ...access }) }),
    ...(isInstalled()
      ? {
          onPrograms: async (programs, server) => {
            following ??= followServer(server, programs, log).finally(() => {
              following = undefined;
            });
            if (await following) process.exit(0);
          },
        }
      : {}),
    onRemoved: async () => {
      markRemoved(config);
      if (config.kind !== 'machine') return;
      for (const left of await wipeMachine(config)) log.error('not wholly wiped', { error: left });
    },
  });
  // What runs outlives the agent: it only stops looking. A local host that is powered off says so by SIGPWR.
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => process.exit(0));
  process.once('SIGPWR', () => void agent.powerOff());
  process.on('unhandledRejection', (error) => log.error('unhandled', { error: describe(error) }));
  log.info('agent started', { pid: process.pid });
  await agent.run();
  process.exit(0);
}

main().catch((error) => {
  process.stderr.write(`${describe(error)}\n`);
  process.exit(1);
});
