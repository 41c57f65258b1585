import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import type { Queryable } from './open.ts';

/**
 * Sends `payload` (at most 8,000 bytes) to whoever listens on `channel`; in a transaction, when it commits.
 * "Look now": a lost one must lose nothing.
 */
export async function notify(db: Queryable, channel: string, payload: string): Promise<void> {
  await db.$executeRaw`SELECT pg_notify(${channel}, ${payload})`;
}

/** Ceiling of the pause between tries (ms): so long can a database be back before it is noticed. */
const maxPauseMs = 2_000;
/** How often the connection is asked whether it lives (ms): a server that vanished without a word is noticed so. */
const heartbeatMs = 10_000;

/**
 * Calls `onMessage` for each notification on `channels`, until closed. Reconnects by itself; what was sent in between is
 * lost, so it then calls `onMessage(channel, '')` for every channel: "look at everything".
 * @throws Error when the first connection fails
 */
export async function listen(
  url: string,
  channels: readonly string[],
  onMessage: (channel: string, payload: string) => void,
  onError: (error: Error) => void = () => {},
): Promise<{ close(): Promise<void> }> {
  const closing = new AbortController();
  let client = await subscribe(url, channels, onMessage);
  const keepUp = async (): Promise<void> => {
    while (!closing.signal.aborted) {
      await lost(client, closing.signal).catch(onError);
      await client.end().catch(() => {});
      const again = await reconnect(() => subscribe(url, channels, onMessage), onError, closing.signal);
      if (again === undefined) return;
      client = again;
      for (const channel of channels) onMessage(channel, '');
    }
  };
  const done = keepUp();
  return {
    async close() {
      closing.abort();
      await done;
    },
  };
}

async function subscribe(
  url: string,
  channels: readonly string[],
  onMessage: (channel: string, payload: string) => void,
): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, keepAlive: true, connectionTimeoutMillis: 5_000 });
  client.on('notification', (n) => onMessage(n.channel, n.payload ?? ''));
  // Without a listener an error of the socket would end the process; `lost` hears of it too.
  client.on('error', () => {});
  try {
    await client.connect();
    await client.query(channels.map((c) => `LISTEN ${pg.escapeIdentifier(c)}`).join(';'));
  } catch (error) {
    await client.end().catch(() => {});
    throw error;
  }
  return client;
}

/** Resolves when `signal` aborts, rejects when the connection is lost. */
async function lost(client: pg.Client, signal: AbortSignal): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  let waiting = false;
  try {
    await new Promise<void>((resolve, reject) => {
      if (signal.aborted) resolve();
      signal.addEventListener('abort', () => resolve(), { once: true });
      client.once('error', reject);
      client.once('end', () => reject(new Error('The connection to the database ended')));
      timer = setInterval(() => {
        if (waiting) return reject(new Error('The database does not answer'));
        waiting = true;
        client.query('SELECT 1').then(() => {
          waiting = false;
        }, reject);
      }, heartbeatMs);
    });
  } finally {
    clearInterval(timer);
  }
}

/** Tries until it works; the pause doubles, with jitter. Undefined: aborted. */
async function reconnect<T>(
  connect: () => Promise<T>,
  onError: (error: Error) => void,
  signal: AbortSignal,
): Promise<T | undefined> {
  for (let pauseMs = 50; !signal.aborted; pauseMs = Math.min(pauseMs * 2, maxPauseMs)) {
    try {
      return await connect();
    } catch (error) {
      onError(error as Error);
    }
    await delay(pauseMs * (0.5 + Math.random() / 2), undefined, { signal }).catch(() => {});
  }
  return undefined;
}
