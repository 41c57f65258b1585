import { setTimeout as sleep } from 'node:timers/promises';
import { type Event, listEnvironmentEvents } from '@rancher/api-client';
import type { Command } from 'commander';
import { Problem } from '../client.ts';
import type { Context } from '../context.ts';
import { findEnvironment } from '../environments.ts';
import { environmentOption, jsonOption } from '../options.ts';
import type { OpenContext } from '../program.ts';

/** Between a stream that ended and the next (ms). */
const reconnectAfterMs = 500;

interface EventsOptions {
  environment: string;
  follow: boolean;
  json: boolean;
}

export function registerEvents(program: Command, open: OpenContext): void {
  program
    .command('events')
    .description('the story of an environment: what failed, how it was noticed, what was done')
    .addOption(environmentOption())
    .option('-f, --follow', 'go on as they happen', false)
    .addOption(jsonOption())
    .action((options: EventsOptions) => events(open(), options));
}

function line(event: Event): string {
  const about = event.regarding.name ?? event.regarding.id;
  return `${event.createdAt}  ${event.type.padEnd(7)}  ${event.reason.padEnd(24)}  ${about}: ${event.message}`;
}

async function events(context: Context, options: EventsOptions): Promise<void> {
  const { client, output } = context;
  const { id } = await findEnvironment(client, options.environment);
  const past = await client.all((page) =>
    listEnvironmentEvents({ client: client.api, path: { id }, query: { ...page, order: 'oldest' } }),
  );
  if (options.json && !options.follow) return output.json(past);
  // Followed, JSON is one event a line.
  const show = (event: Event) => output.print(options.json ? JSON.stringify(event) : line(event));
  for (const event of past) show(event);
  if (options.follow) await follow(context, id, past.at(-1)?.id ?? '0', show);
}

/** Live events from after `lastId`; a stream that breaks is resumed where it was. Ends on Ctrl-C. */
async function follow(
  { client, signal }: Context,
  environmentId: string,
  lastId: string,
  show: (event: Event) => void,
): Promise<void> {
  let last = lastId;
  while (!signal.aborted) {
    try {
      const path = `/v1/environments/${environmentId}/events`;
      for await (const { id, data } of client.stream(path, last, signal)) {
        if (id !== '') last = id;
        show(JSON.parse(data) as Event);
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Problem && error.status < 500) throw error;
    }
    await sleep(reconnectAfterMs, undefined, { signal }).catch(() => {});
  }
}
