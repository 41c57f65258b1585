import { parseArgs } from 'node:util';
import { isMainThread } from 'node:worker_threads';
import { readConfig } from './config.ts';
import { run } from './run.ts';
import { runThread } from './server/threads.ts';

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { config: { type: 'string' } } });
  if (values.config === undefined) throw new Error('usage: dns --config FILE');
  const log = (message: string) =>
    void process.stderr.write(`${JSON.stringify({ time: new Date().toISOString(), message })}\n`);
  const running = await run(readConfig(values.config), log, fail, import.meta.url);
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      running.close();
      process.exit(0);
    });
  }
}

function fail(error: unknown): never {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}

(isMainThread ? main() : runThread()).catch(fail);
