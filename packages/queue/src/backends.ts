import {
  type BackendFactory,
  createPostgresBackend,
  createRedisBackend,
  type IQueueBackend,
  runMigrations,
} from 'bullmq';
import { Redis } from 'ioredis';
import pg from 'pg';

/** Where the queues live: in a schema of their own, `bullmq`, of a Postgres, or in a Redis. */
export type QueueConnection = { postgresUrl: string } | { redisUrl: string };

/** What BullMQ's classes are made with. */
export interface Backend {
  factory: BackendFactory<IQueueBackend, unknown>;
  connection: unknown;
  /** Waits until the server answers, and prepares it. Rejects when it cannot be reached. */
  ready(): Promise<void>;
  close(): Promise<void>;
}

/** The schema that BullMQ's Postgres backend uses for a given pool; nothing else is in it. */
export const queueSchema = 'bullmq';

/**
 * @param use `produce`: calls fail soon when the server is away, as a caller waits. `consume`: they wait for it.
 * @param maxConnections of the pool, on Postgres
 */
export function openBackend(
  connection: QueueConnection,
  use: 'produce' | 'consume',
  maxConnections: number,
  onError: (error: Error) => void,
): Backend {
  return 'redisUrl' in connection
    ? openRedis(connection.redisUrl, use, onError)
    : openPostgres(connection.postgresUrl, maxConnections, onError);
}

function openPostgres(url: string, max: number, onError: (error: Error) => void): Backend {
  const pool = new pg.Pool({
    connectionString: url,
    max,
    // A job only says "look now", and the sweep finds what a lost one meant: it need not wait for the disk.
    options: `-c search_path=${queueSchema} -c synchronous_commit=off`,
    connectionTimeoutMillis: 5_000,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
  });
  // Each queue and worker on this pool listens for its errors.
  pool.setMaxListeners(0);
  // pg gives the client too, which holds the password: only the error goes on.
  pool.on('error', (error) => onError(error));
  return {
    factory: createPostgresBackend as BackendFactory<IQueueBackend, unknown>,
    connection: pool,
    async ready() {
      const client = await pool.connect();
      try {
        await runMigrations(client, queueSchema);
      } finally {
        client.release();
      }
    },
    async close() {
      if (!pool.ending) await pool.end();
    },
  };
}

function openRedis(url: string, use: 'produce' | 'consume', onError: (error: Error) => void): Backend {
  const redis = new Redis(url, {
    // BullMQ demands null of consumers: their blocking reads outlive reconnections.
    maxRetriesPerRequest: use === 'consume' ? null : 2,
    connectTimeout: 5_000,
    retryStrategy: (times) => Math.min(50 * 2 ** times, 1_000),
    lazyConnect: true,
  });
  // Each queue and worker listens for its errors. Not 0 for "any number": BullMQ adds to it.
  redis.setMaxListeners(100);
  redis.on('error', (error) => onError(error));
  return {
    factory: createRedisBackend as BackendFactory<IQueueBackend, unknown>,
    connection: redis,
    async ready() {
      // What `connect` itself says is only that the connection is closed.
      let cause: Error | undefined;
      redis.once('error', (error) => {
        cause = error;
      });
      try {
        if (redis.status === 'wait') await redis.connect();
        await redis.ping();
      } catch (error) {
        throw cause ?? error;
      }
    },
    async close() {
      redis.disconnect();
    },
  };
}

/** How long the same error is not told again (ms): while a server is away, every connection has one, again and again. */
const quietMs = 10_000;

/** Tells each error of a connection once in a while, by its message. */
export function quietly(onError: (error: Error) => void): (error: Error) => void {
  const told = new Map<string, number>();
  return (error) => {
    const now = Date.now();
    for (const [message, at] of told) if (now - at > quietMs) told.delete(message);
    if (told.has(error.message)) return;
    told.set(error.message, now);
    onError(error);
  };
}
