import { mkdirSync } from 'node:fs';
import { ensureHostPackages } from '@rancher/artifacts';
import { supportedVersions } from '@rancher/components';
import type { Context } from '../../context.ts';
import { Failure, Interrupted } from '../../errors.ts';
import { takeLock } from '../../processes/lock.ts';
import type { Step } from '../../progress/step.ts';
import { runSteps } from '../../progress/steps.ts';
import { storeSettings } from '../../settings.ts';
import { artifactsStep, openStore } from '../artifacts-run.ts';
import { readStatus, type Status } from '../status.ts';
import type { UpOptions } from '../up.ts';
import { environmentSteps } from './environment.ts';
import { preflight } from './preflight.ts';
import { createServer, serverSteps } from './server.ts';

/**
 * Brings everything up, from whatever is left of it: each step finds what is there already. Ctrl-C ends the waiting
 * only: what was started goes on, the next `up` takes it from there.
 */
export async function up(context: Context, options: UpOptions): Promise<void> {
  const { settings, output, signal } = context;
  preflight(context);
  mkdirSync(settings.paths.home, { recursive: true });
  using _lock = takeLock(settings.paths.lock);
  settings.stored = storeSettings(settings);
  const version = settings.stored.defaultEnvironment?.kubernetesVersion ?? defaultVersion();
  const server = createServer(settings);
  const steps = [
    hostPackagesStep,
    artifactsStep(openStore(settings), version),
    ...serverSteps(server, () => context.client),
    ...environmentSteps(context, version, server, options.timeout * 1000),
  ];
  try {
    await runSteps(steps, output, signal);
  } catch (error) {
    if (error instanceof Interrupted)
      throw new Interrupted(`${error.message}. ./rancher up goes on from here, ./rancher down stops it`);
    throw error;
  }
  const status = await readStatus(context);
  if (options.json) output.json(status);
  else output.print(inWords(status, server.changed));
}

function defaultVersion(): string {
  return (supportedVersions.find((v) => v.default) ?? supportedVersions[0])!.version;
}

const hostPackagesStep: Step = {
  title: 'Programs of this machine',
  async run(report) {
    let installed = false;
    const missing = await ensureHostPackages((progress) => {
      installed = true;
      report(progress.message);
    });
    if (missing.length > 0)
      throw new Failure(missing.map((m) => `${m.name} is missing: ${m.mend}`).join('; '));
    return installed ? 'installed' : 'all there';
  },
};

function inWords(status: Status, changed: boolean): string {
  const environment = status.environments.find((e) => e.name === 'default') ?? status.environments[0];
  const command = './rancher';
  return [
    '',
    changed ? 'Rancher is running.' : 'Rancher is already running.',
    `  URL         ${status.url}   (API: ${status.url}/docs)`,
    `  Admin key   ${status.adminKeyFile}`,
    ...(environment === undefined ? [] : [`  Kubeconfig  ${environment.kubeconfigFile}`]),
    '',
    'Try:',
    ...(environment === undefined
      ? [`  ${command} environment create first --wait`]
      : [`  ${command} kubectl get nodes`, `  ${command} instances`]),
    `  ${command} environment create second --wait`,
  ].join('\n');
}
