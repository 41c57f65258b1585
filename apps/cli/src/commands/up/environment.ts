import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  createEnvironment,
  type Environment,
  getEnvironment,
  listEnvironmentInstances,
  type Operation,
} from '@rancher/api-client';
import { Problem } from '../../client.ts';
import type { Context } from '../../context.ts';
import { findEnvironment, hostsOf } from '../../environments.ts';
import { Failure } from '../../errors.ts';
import { ensureKubeconfig } from '../../kubeconfig.ts';
import { waitingFor } from '../../operations.ts';
import { defaultEnvironment } from '../../options.ts';
import type { Report, Step } from '../../progress/step.ts';
import { storeSettings } from '../../settings.ts';
import { connectedNow, type Server } from './server.ts';

/** Makes the environment `default` the first time, and waits until it serves. */
export function environmentSteps(
  context: Context,
  version: string,
  server: Server,
  withinMs: number,
): Step[] {
  let environment: Environment | null = null;
  return [
    {
      title: `Environment ${defaultEnvironment}`,
      async run() {
        const found = await ensureDefault(context, version, server);
        environment = found.environment;
        return found.outcome;
      },
    },
    {
      title: 'Kubernetes',
      async run(report, signal) {
        if (environment === null) return 'nothing to wait for';
        if (environment.spec.desiredState !== 'active') return `not waited for: ${environment.status.state}`;
        const serving = await waitUntilServing(context, environment, server, { withinMs, report, signal });
        await ensureKubeconfig(context, serving);
        return `${serving.spec.kubernetesVersion} is ${serving.status.state}`;
      },
    },
  ];
}

interface Found {
  environment: Environment | null;
  outcome: string;
}

/** Asked for once in the life of an installation: a user who deleted it does not want it back. */
async function ensureDefault(context: Context, version: string, server: Server): Promise<Found> {
  const { client, settings } = context;
  const known = settings.stored.defaultEnvironment;
  if (known !== undefined) {
    try {
      const environment = await client.call(getEnvironment({ client: client.api, path: { id: known.id } }));
      return { environment, outcome: `there already (${environment.id})` };
    } catch (error) {
      if (error instanceof Problem && error.status === 404) {
        return { environment: null, outcome: 'was deleted, and is not made again' };
      }
      throw error;
    }
  }
  const environment = await makeDefault(context, version);
  settings.stored = storeSettings(settings, {
    defaultEnvironment: { id: environment.id, kubernetesVersion: environment.spec.kubernetesVersion },
  });
  server.changed = true;
  return { environment, outcome: `made (${environment.id})` };
}

async function makeDefault({ client, settings }: Context, version: string): Promise<Environment> {
  // The same key each time, so that an `up` that was interrupted here does not make two.
  const key = createHash('sha256').update(settings.paths.home).digest('hex').slice(0, 32);
  const body = { name: defaultEnvironment, spec: { kubernetesVersion: version, hosts: { local: 1 } } };
  try {
    const headers = { 'idempotency-key': `up-${key}` };
    const operation = (await client.call(
      createEnvironment({ client: client.api, body, headers }),
    )) as Operation;
    return await client.call(getEnvironment({ client: client.api, path: { id: operation.target.id } }));
  } catch (error) {
    if (error instanceof Problem && error.code === 'name_taken')
      return findEnvironment(client, defaultEnvironment);
    throw error;
  }
}

interface WaitOptions {
  withinMs: number;
  report: Report;
  signal: AbortSignal;
}

/**
 * Waits until an environment serves as seen from here. Rows alone do not tell after a restart: they are of before until
 * each host's agent has connected to this API.
 * @throws Failure saying what was still waited for
 */
async function waitUntilServing(
  context: Context,
  environment: Environment,
  server: Server,
  { withinMs, report, signal }: WaitOptions,
): Promise<Environment> {
  const { client } = context;
  const deadline = performance.now() + withinMs;
  for (;;) {
    const now = await client.call(getEnvironment({ client: client.api, path: { id: environment.id } }));
    const wait = await stillMissing(context, now, server);
    if (wait === null) return now;
    report(wait);
    signal.throwIfAborted();
    if (performance.now() > deadline)
      throw new Failure(`waited ${withinMs / 1000} s; still waiting: ${wait}`);
    await sleep(100);
  }
}

async function stillMissing(
  { client }: Context,
  environment: Environment,
  server: Server,
): Promise<string | null> {
  const path = { id: environment.id };
  const hosts = await hostsOf(client, environment.id);
  const absent = hosts.filter((host) => !connectedNow(host, server));
  if (absent.length > 0) return `host ${absent.map((h) => h.name).join(', ')} to connect`;
  const { state, conditions } = environment.status;
  const ready = conditions.find((c) => c.type === 'Ready')?.status === 'True';
  if (state !== 'active' || !ready) return waitingFor(conditions);
  const instances = await client.all((query) =>
    listEnvironmentInstances({ client: client.api, path, query }),
  );
  const ill = instances.filter((i) => i.status.state !== 'removed' && i.status.health !== 'healthy');
  if (ill.length > 0) return `${ill.map((i) => i.service).join(', ')} to be healthy`;
  return (await client.clusterReady(environment.id)) ? null : 'the API server to be ready';
}
