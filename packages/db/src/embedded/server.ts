import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { clearStale, embeddedName, embeddedPostgresUrl, ensureCluster } from './cluster.ts';
import { prepareLauncher } from './launch.ts';

export interface EmbeddedPostgres {
  url: string;
  pid: number;
  /** Ends with how it ended, whether asked to or not. */
  exited: Promise<string>;
  /** A fast, clean shutdown: open transactions are rolled back, clients disconnected. */
  stop(): Promise<void>;
}

export interface EmbeddedPostgresOptions {
  /** Kept wholly in this folder: the data, the password, links to libraries. */
  dir: string;
  port: number;
  /** Takes its log, line by line; warnings and errors only. */
  log?: (line: string) => void;
  /** More settings, `name=value`. */
  settings?: string[];
}

/** Small: one installation's rows and queues. Durable: fsync and synchronous_commit keep their defaults. */
const settings = [
  'listen_addresses=127.0.0.1',
  'unix_socket_directories=',
  'max_connections=100',
  'shared_buffers=64MB',
  'wal_level=minimal',
  'max_wal_senders=0',
  'max_wal_size=256MB',
  'min_wal_size=32MB',
  'jit=off',
  'timezone=UTC',
  'log_timezone=UTC',
  'log_min_messages=warning',
  // What a client does wrong is the client's to log, and statements may hold secrets.
  'log_min_error_statement=panic',
];

/**
 * Starts Postgres on 127.0.0.1 and makes the database `rancher` if it is missing; a crash before is recovered from.
 * It stops when the calling process dies, however that happens.
 * @throws Error with the last lines of its log when it does not come up, such as when the port is taken
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const launcher = await prepareLauncher(options.dir);
  await clearStale(options.dir);
  await ensureCluster(options.dir, launcher);
  const all = [...settings, `port=${options.port}`, ...(options.settings ?? [])];
  const child = launcher.launch('postgres', [
    '-D',
    join(launcher.seenDir, 'data'),
    ...all.flatMap((setting) => ['-c', setting]),
  ]);
  const tail = followLog(child, options.log);
  const exited = once(child, 'close').then(([code, signal]) => `${signal ?? `exit code ${code}`}: ${tail()}`);
  const stop = async (): Promise<void> => {
    child.kill('SIGINT');
    const timer = setTimeout(() => child.kill('SIGQUIT'), 20_000);
    await exited;
    clearTimeout(timer);
  };
  const url = await embeddedPostgresUrl(options);
  try {
    await Promise.race([ready(options.dir, child), exited.then(refuse)]);
    await ensureDatabase(url);
  } catch (error) {
    await stop();
    throw error;
  }
  return { url, pid: child.pid as number, exited, stop };
}

function refuse(how: string): never {
  throw new Error(`Postgres did not start (${how})`);
}

/** Passes the log on and keeps its last lines. */
function followLog(child: ChildProcess, log: (line: string) => void = () => {}): () => string {
  const lines: string[] = [];
  if (child.stderr !== null) {
    createInterface({ input: child.stderr }).on('line', (line) => {
      log(line);
      lines.push(line);
      if (lines.length > 10) lines.shift();
    });
  }
  return () => lines.join('\n');
}

/** Waits until the postmaster says `ready` in its pid file, as pg_ctl does; recovery after a crash may take a while. */
async function ready(dir: string, child: ChildProcess): Promise<void> {
  const pidFile = join(dir, 'data', 'postmaster.pid');
  while (child.exitCode === null && child.signalCode === null) {
    const lines = (await readFile(pidFile, 'utf8').catch(() => '')).split('\n');
    if (Number(lines[0]) === child.pid && lines[7]?.trim() === 'ready') return;
    await delay(20);
  }
}

async function ensureDatabase(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url.replace(/\/[^/]*$/, '/postgres') });
  await client.connect();
  try {
    const found = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [embeddedName]);
    if (found.rowCount === 0) await client.query(`CREATE DATABASE ${embeddedName}`);
  } finally {
    await client.end();
  }
}
