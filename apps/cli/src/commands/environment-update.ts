import { type Environment, getEnvironment, updateEnvironment } from '@rancher/api-client';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { Problem } from '../client.ts';
import type { Context } from '../context.ts';
import { findEnvironment } from '../environments.ts';
import { jsonOption, timeoutOption, waitOption } from '../options.ts';
import type { OpenContext } from '../program.ts';
import { runSteps } from '../progress/steps.ts';

const pollMs = 300;
const attempts = 10;

export type Replicas = 1 | 3 | 5;

export const replicasOption = () =>
  new Option(
    '--control-plane-replicas <count>',
    'hosts of etcd and of the control plane: 1, 3 or 5',
  ).argParser((text: string): Replicas => {
    const value = Number(text);
    if (value === 1 || value === 3 || value === 5) return value;
    throw new InvalidArgumentError('It must be 1, 3 or 5: an even number of etcd members gains nothing.');
  });

interface UpdateOptions {
  controlPlaneReplicas?: Replicas;
  dryRun: boolean;
  wait: boolean;
  timeout: number;
  json: boolean;
}

export function registerUpdate(environment: Command, open: OpenContext): void {
  environment
    .command('update <name>')
    .description('change an environment')
    .addOption(replicasOption())
    .option('--dry-run', 'show the plan, change nothing', false)
    .addOption(waitOption())
    .addOption(timeoutOption(600))
    .addOption(jsonOption())
    .action((name: string, options: UpdateOptions) => update(open(), name, options));
}

async function update(context: Context, name: string, options: UpdateOptions): Promise<void> {
  const { client, output } = context;
  const { id } = await findEnvironment(client, name);
  const path = { id };
  const replicas = options.controlPlaneReplicas;
  const body = replicas === undefined ? {} : { spec: { controlPlane: { replicas } } };
  // Only the fields that are given change, whatever else did meanwhile.
  const headers = { 'if-match': '*' };
  const query = { dryRun: options.dryRun };
  const send = () => client.call(updateEnvironment({ client: client.api, path, headers, query, body }));
  const changed = await persistently(send);
  if (options.dryRun) return output.json(changed);
  if (options.wait) await carriedOut(context, id, name, options.timeout);
  const after = await client.call(getEnvironment({ client: client.api, path }));
  if (options.json) output.json(after);
  else output.print(`environment ${name} (${id}) is ${after.status.state}`);
}

/** The server writes of an environment all the time: what came between is no reason to give up. */
async function persistently<T>(send: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await send();
    } catch (error) {
      if (!(error instanceof Problem) || error.code !== 'stale_etag' || attempt === attempts) throw error;
    }
  }
}

/** Until the generation is observed and nothing is under way. */
async function carriedOut(context: Context, id: string, name: string, seconds: number): Promise<void> {
  const { client } = context;
  const done = ({ generation, status }: Environment) =>
    status.observedGeneration === generation && (status.state === 'active' || status.state === 'inactive');
  const step = {
    title: `Updating environment ${name}`,
    run: async (report: (text: string) => void, signal: AbortSignal) => {
      const until = Date.now() + seconds * 1000;
      for (;;) {
        const now = await client.call(getEnvironment({ client: client.api, path: { id } }));
        if (done(now)) return 'done';
        const waits = now.status.conditions.find((c) => c.type === 'PlanBlocked' && c.status === 'True');
        report(waits?.message ?? now.status.state);
        if (Date.now() > until)
          throw new Error(`It was not done within ${seconds} s: ${waits?.message ?? ''}`);
        signal.throwIfAborted();
        await new Promise((resolve) => setTimeout(resolve, pollMs));
      }
    },
  };
  await runSteps([step], context.output, context.signal);
}
