import { setTimeout as delay } from 'node:timers/promises';
import type { Config } from '@rancher/config';
import { embeddedPostgresUrl, openDatabase } from '@rancher/db';
import { createQueue, type QueueConnection, startWorkers, type Workers } from '@rancher/queue';
import { type Context, createCluster, SpecCache } from '@rancher/reconcilers';
import { createMetrics, type Logger } from '@rancher/telemetry';
import { createHandlers } from './handlers.ts';
import { keyFile, masterKeyFrom, serverAuthority } from './keys.ts';
import { serveMonitoring } from './monitoring.ts';
import { watchApi } from './watch-api.ts';

/** Jobs of one kind at a time. They wait for Postgres and for clusters rather than compute. */
const concurrency = 8;
const longestPauseMs = 5_000;

export interface Worker {
  /** Takes no more jobs, waits for those that run, and closes everything. */
  close(): Promise<void>;
}

/**
 * Composes the worker: database, queues, the way into clusters, handlers. Waits for what is not there yet (keys that the
 * API makes, Postgres, Redis), trying until `signal` aborts.
 */
export async function startWorker(config: Config, logger: Logger, signal: AbortSignal): Promise<Worker> {
  const metrics = createMetrics('worker');
  const state = { workers: undefined as Workers | undefined };
  const monitoring = await serveMonitoring(config.workerPort, metrics, () => state.workers !== undefined);
  const retry = <T>(what: string, run: () => Promise<T>) => untilItWorks(what, run, logger, signal);
  const url = await retry('database password', () => databaseUrl(config));
  const masterKey = await retry('master key', () => masterKeyFrom(config.masterKeyFile));
  const database = openDatabase({ url, onError: (err) => logger.warn({ err }, 'database connection') });
  const connection: QueueConnection =
    config.redisUrl === undefined ? { postgresUrl: url } : { redisUrl: config.redisUrl };
  const queue = createQueue(connection, (err) => logger.warn({ err }, 'queue'));
  const ca = config.apiUrl.startsWith('https:')
    ? await retry('authority of the API', () => serverAuthority(database.prisma, masterKey))
    : undefined;
  const key = keyFile(config.systemKeyFile);
  const cluster = createCluster({ apiUrl: config.apiUrl, key, ...(ca === undefined ? {} : { ca }) });
  const context: Context = {
    prisma: database.prisma,
    queue,
    masterKey,
    cluster,
    specs: new SpecCache(),
    logger,
  };
  const { handlers, onFinished } = createHandlers(context, watchApi(config.apiUrl, ca), metrics);
  const onError = (err: Error, job?: { name: string; data: unknown }) =>
    logger.warn({ err, job }, job === undefined ? 'queue' : 'job failed; it is tried again by the sweep');
  state.workers = await retry('queue', () =>
    startWorkers(connection, handlers, { concurrency, onError, onFinished }),
  );
  logger.info({ replicaId: config.replicaId }, 'working');
  return {
    async close() {
      await state.workers?.close();
      await queue.close();
      cluster.close();
      await database.close();
      await monitoring?.close();
    },
  };
}

async function databaseUrl(config: Config): Promise<string> {
  const { databaseUrl: url, home, postgresPort: port } = config;
  return url ?? embeddedPostgresUrl({ dir: `${home}/postgres`, port });
}

async function untilItWorks<T>(
  what: string,
  run: () => Promise<T>,
  logger: Logger,
  signal: AbortSignal,
): Promise<T> {
  for (let pauseMs = 100; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
    try {
      return await run();
    } catch (err) {
      if (signal.aborted) throw err;
      logger.warn({ err, nextTryInMs: pauseMs }, `${what} is not there yet`);
      await delay(pauseMs, undefined, { signal });
    }
  }
}
