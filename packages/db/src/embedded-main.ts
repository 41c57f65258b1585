import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type EmbeddedPostgres, startEmbeddedPostgres } from './embedded/server.ts';

/**
 * Runs the embedded Postgres in the foreground until SIGTERM or SIGINT, starting it again when it dies:
 *
 *     node embedded-main.ts --dir <folder> --port <port>
 *
 * Prints `{"ready":true,"pid":…}` on standard output each time it accepts connections, and its log on standard error.
 * When this process is killed, Postgres shuts down with it; the next one waits for that and goes on with the data.
 */
const { values } = parseArgs({ options: { dir: { type: 'string' }, port: { type: 'string' } } });
const port = Number(values.port);
if (values.dir === undefined || !Number.isInteger(port)) {
  process.stderr.write('usage: embedded-main --dir <folder> --port <port>\n');
  process.exit(64);
}
const dir = values.dir;
const say = (line: string): void => void process.stderr.write(`${line}\n`);

const stopping = new AbortController();
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stopping.abort());

let postgres: EmbeddedPostgres | undefined = await startEmbeddedPostgres({ dir, port, log: say });
while (postgres !== undefined) {
  process.stdout.write(`${JSON.stringify({ ready: true, pid: postgres.pid })}\n`);
  const aborted = new Promise<undefined>((resolve) => {
    stopping.signal.addEventListener('abort', () => resolve(undefined), { once: true });
    if (stopping.signal.aborted) resolve(undefined);
  });
  const how = await Promise.race([postgres.exited, aborted]);
  if (how === undefined) {
    await postgres.stop();
    break;
  }
  say(`Postgres ended (${how}); starting it again`);
  postgres = await startAgain();
}

/** Tries until it works: what a killed Postgres held (its port, its shared memory) takes a moment to come free. */
async function startAgain(): Promise<EmbeddedPostgres | undefined> {
  for (let pauseMs = 100; !stopping.signal.aborted; pauseMs = Math.min(pauseMs * 2, 5_000)) {
    try {
      return await startEmbeddedPostgres({ dir, port, log: say });
    } catch (error) {
      say((error as Error).message);
    }
    await delay(pauseMs, undefined, { signal: stopping.signal }).catch(() => {});
  }
  return undefined;
}
