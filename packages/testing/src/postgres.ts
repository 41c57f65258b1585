import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type EmbeddedPostgres, migrate, startEmbeddedPostgres } from '@rancher/db';
import { freePort } from './ports.ts';

/** A server of a test's own, which it may stop and start. */
export interface TestServer {
  url: string;
  /** Ends the server cleanly; its data stay. */
  pause(): Promise<void>;
  /** Kills the server with SIGKILL; its data stay as they were. */
  kill(): Promise<void>;
  /** Starts it again on the same port with the same data. */
  resume(): Promise<void>;
  /** Ends the server and removes its data. */
  stop(): Promise<void>;
}

/**
 * Starts a Postgres with an empty database, migrated unless told otherwise. Less durable than a real one (no fsync), so
 * that tests are fast; it ends with the process that started it.
 */
export async function startPostgres(options: { migrated?: boolean } = {}): Promise<TestServer> {
  const dir = await mkdtemp(join(tmpdir(), 'rancher-test-postgres-'));
  const port = await freePort();
  const start = (): Promise<EmbeddedPostgres> =>
    startEmbeddedPostgres({ dir, port, settings: ['fsync=off'] });
  const remove = (): Promise<void> => rm(dir, { recursive: true, force: true });
  let server: EmbeddedPostgres;
  try {
    server = await start();
    if (options.migrated !== false) await migrate(server.url);
  } catch (error) {
    await remove();
    throw error;
  }
  return {
    url: server.url,
    pause: () => server.stop(),
    async kill() {
      process.kill(server.pid, 'SIGKILL');
      await server.exited;
    },
    async resume() {
      server = await start();
    },
    async stop() {
      await server.stop();
      await remove();
    },
  };
}
