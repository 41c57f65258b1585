import { existsSync } from 'node:fs';
import type { Context } from '../../context.ts';
import { Failure } from '../../errors.ts';
import { stop } from '../../processes/kept.ts';
import { takeLock } from '../../processes/lock.ts';
import type { ServerProcessName } from '../../processes/server.ts';
import type { Step } from '../../progress/step.ts';
import { runSteps } from '../../progress/steps.ts';
import type { DownOptions } from '../down.ts';
import { removeFiles } from './remove.ts';

/**
 * Stops everything of this installation and nothing else, whatever is left of it. The worker goes first, so that nobody
 * heals what is being stopped; the API before the hosts, so that what they were running is what it remembers.
 */
export async function down(context: Context, options: DownOptions): Promise<void> {
  const { settings, output, signal } = context;
  const { paths } = settings;
  if (!existsSync(paths.home)) {
    output.print(`nothing to stop: ${paths.home} is not there`);
    return;
  }
  if (!settings.exists) {
    output.print(`nothing to stop: ${paths.home} is not of a Rancher that was ever up`);
    return;
  }
  if (process.getuid?.() !== 0) throw new Failure('not root: run it with sudo');
  const kept = (title: string, name: ServerProcessName): Step => ({
    title,
    run: async () => ((await stop(paths, name)) ? 'stopped' : 'did not run'),
  });
  using _lock = takeLock(paths.lock);
  const steps: Step[] = [
    kept('Worker', 'worker'),
    kept('Agent of this machine', 'agent'),
    kept('API', 'api'),
    { title: 'Local hosts', run: () => stopHosts(paths.home, options.purge) },
    kept('Postgres', 'postgres'),
    ...(options.purge ? [{ title: 'Files', run: () => removeFiles(paths.home) }] : []),
  ];
  await runSteps(steps, output, signal);
  output.print(
    options.purge
      ? `Rancher is gone from ${paths.home}. Artifacts stay in ${settings.config.cache}.`
      : `Rancher is stopped. Its data is in ${paths.home}; ./rancher up brings it back.`,
  );
}

async function stopHosts(home: string, purge: boolean): Promise<string> {
  const { powerOff, purgeInstallation } = await import('@rancher/agent-app/local-hosts');
  await (purge ? purgeInstallation(home) : powerOff(home));
  return purge ? 'removed' : 'powered off';
}
