import { loadConfig } from '@rancher/config';
import { createLogger } from '@rancher/telemetry';
import closeWithGrace from 'close-with-grace';
import { startWorker } from './worker.ts';

const shutdownMs = 10_000;

/** Runs the worker until it is told to stop. Postgres, Redis and the API may come and go meanwhile, and at the start. */
async function main(): Promise<void> {
  const config = loadConfig();
  const logger = createLogger({ name: 'worker', level: config.logLevel, file: config.logFile });
  const stopping = new AbortController();
  const starting = startWorker(config, logger, stopping.signal);
  closeWithGrace({ delay: shutdownMs }, async ({ err, signal }) => {
    if (err) logger.fatal({ err }, 'unexpected error');
    else logger.info({ signal }, 'stopping');
    stopping.abort();
    await (await starting.catch(() => undefined))?.close();
  });
  await starting;
}

await main();
