import type { Logger } from '@rancher/telemetry';
import { databaseIsGone } from '../http/database-gone.ts';

const retryMs = 1_000;

/**
 * Gathers hosts whose slices are to be sent, and sends those of a moment together: one round of queries for all hosts of
 * a plan, and for each host never two at once.
 */
export function createPusher(options: { push(hostIds: string[]): Promise<void>; logger: Logger }) {
  const waiting = new Set<string>();
  let running: Promise<void> | undefined;
  let retry: NodeJS.Timeout | undefined;
  let closed = false;

  async function run(): Promise<void> {
    // Those that are named in the same turn of the event loop go together.
    await Promise.resolve();
    while (waiting.size > 0 && !closed) {
      const hostIds = [...waiting];
      waiting.clear();
      try {
        await options.push(hostIds);
      } catch (error) {
        if (!databaseIsGone(error)) options.logger.error({ err: error }, 'slices not sent');
        for (const id of hostIds) waiting.add(id);
        retry ??= setTimeout(() => {
          retry = undefined;
          start();
        }, retryMs);
        return;
      }
    }
  }

  function start(): void {
    if (running !== undefined || closed || waiting.size === 0) return;
    running = run().finally(() => {
      running = undefined;
      if (retry === undefined) start();
    });
  }

  function pushAll(hostIds: string[]): void {
    for (const id of hostIds) waiting.add(id);
    if (retry === undefined) start();
  }

  return {
    push: (hostId: string) => pushAll([hostId]),
    pushAll,
    async close() {
      closed = true;
      clearTimeout(retry);
      await running;
    },
  };
}
