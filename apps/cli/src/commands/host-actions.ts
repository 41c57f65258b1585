import {
  cordonHost,
  drainHost,
  evacuateHost,
  type Operation,
  powerOffHost,
  powerOnHost,
  uncordonHost,
} from '@rancher/api-client';
import { type Command, Option } from 'commander';
import type { Context } from '../context.ts';
import { findHost } from '../environments.ts';
import { environmentOption, jsonOption, timeoutOption, waitOption, wholeNumber } from '../options.ts';
import type { OpenContext } from '../program.ts';
import { wait } from '../progress/wait.ts';

interface ActionOptions {
  environment: string;
  wait: boolean;
  timeout: number;
  json: boolean;
}

/** What of a drain can be chosen for a removal too. */
export interface DrainFlags {
  deadline?: number;
  gracePeriod?: number;
}

interface DrainCommandOptions extends ActionOptions, DrainFlags {
  force: boolean;
  deleteEmptydirData: boolean;
}

export const deadlineOption = () =>
  new Option('--deadline <seconds>', 'how long its pods have to leave').argParser(wholeNumber(1, 86_400));
export const gracePeriodOption = () =>
  new Option('--grace-period <seconds>', 'instead of what the pods ask for').argParser(
    wholeNumber(0, 86_400),
  );

export function drainBody({ deadline, gracePeriod }: DrainFlags) {
  return {
    ...(deadline === undefined ? {} : { deadlineSeconds: deadline }),
    ...(gracePeriod === undefined ? {} : { gracePeriodSeconds: gracePeriod }),
  };
}

/** What is done with a host that is there. */
export function registerHostActions(host: Command, open: OpenContext): void {
  for (const [name, ask, description, done] of [
    ['cordon', cordonHost, 'let a host take no new pods', 'cordoned'],
    ['uncordon', uncordonHost, 'let a host take new pods again', 'uncordoned'],
    ['power-off', powerOffHost, 'cut a local host off, as by pulling the plug; its disk stays', 'off'],
    ['power-on', powerOnHost, 'switch a local host on again', 'on'],
  ] as const) {
    command(host, name, description).action((target: string, options: ActionOptions) => {
      const context = open();
      const { api } = context.client;
      return act(context, target, options, {
        name,
        done,
        ask: (id) => context.client.call(ask({ client: api, path: { id } })) as Promise<Operation>,
      });
    });
  }
  for (const [name, ask, description, done] of [
    ['drain', drainHost, 'evict the pods of a host, as budgets allow', 'drained'],
    [
      'evacuate',
      evacuateHost,
      'drain a host, and take the system stack off it, until it is uncordoned',
      'evacuated',
    ],
  ] as const) {
    command(host, name, description)
      .addOption(deadlineOption())
      .addOption(gracePeriodOption())
      .option('--force', 'pods that nobody makes again go too; at the deadline, what budgets protect', false)
      .option('--delete-emptydir-data', 'pods go whose emptyDir volumes are lost with them', false)
      .action((target: string, options: DrainCommandOptions) => {
        const context = open();
        const { api } = context.client;
        const body = {
          ...drainBody(options),
          ...(options.force ? { force: true } : {}),
          ...(options.deleteEmptydirData ? { deleteEmptyDirData: true } : {}),
        };
        return act(context, target, options, {
          name,
          done,
          ask: (id) => context.client.call(ask({ client: api, path: { id }, body })) as Promise<Operation>,
        });
      });
  }
}

function command(host: Command, name: string, description: string): Command {
  return host
    .command(`${name} <host>`)
    .description(description)
    .addOption(environmentOption())
    .addOption(waitOption())
    .addOption(timeoutOption(600))
    .addOption(jsonOption());
}

async function act(
  context: Context,
  target: string,
  options: ActionOptions,
  { name, done, ask }: { name: string; done: string; ask(id: string): Promise<Operation> },
): Promise<void> {
  const { client, output } = context;
  const host = await findHost(client, options.environment, target);
  const operation = await ask(host.id);
  if (options.wait) await wait(context, `Host ${host.name}: ${name}`, operation, options.timeout);
  if (options.json) output.json(operation);
  else
    output.print(
      options.wait
        ? `host ${host.name} (${host.id}) is ${done}`
        : `host ${host.name} (${host.id}): ${name} is under way, operation ${operation.id}`,
    );
}
