import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig } from '@rancher/config';
import { type Database, openDatabase } from '@rancher/db';
import { createQueue, type Queue } from '@rancher/queue';
import { createLogger } from '@rancher/telemetry';
import { freePort, startPostgres, type TestServer, until } from '@rancher/testing';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startWorker, type Worker } from './worker.ts';

let home: string;
let postgres: TestServer;
let database: Database;
let queue: Queue;
let api: Server;
let worker: Worker;
let workerPort: number;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'rancher-worker-'));
  await writeFile(join(home, 'master.key'), `${'ab'.repeat(32)}\n`);
  await writeFile(join(home, 'system.key'), 'rk_test\n');
  postgres = await startPostgres();
  database = openDatabase({ url: postgres.url });
  queue = createQueue({ postgresUrl: postgres.url });
  api = createServer((_request, response) => response.end('ok'));
  api.listen(0, '127.0.0.1');
  await once(api, 'listening');
  workerPort = await freePort();
  const env = {
    RANCHER_HOME: home,
    DATABASE_URL: postgres.url,
    RANCHER_API_URL: `http://127.0.0.1:${(api.address() as AddressInfo).port}`,
  };
  const logger = createLogger({ name: 'worker', level: 'silent' });
  worker = await startWorker(
    loadConfig({ ...env, RANCHER_WORKER_PORT: String(workerPort) }),
    logger,
    new AbortController().signal,
  );
}, 60_000);

afterAll(async () => {
  await worker?.close();
  await queue?.close();
  await database?.close();
  api?.close();
  await postgres?.stop();
  await rm(home, { recursive: true, force: true });
});

async function environment(id: string): Promise<string> {
  const data = {
    id,
    name: id,
    kubernetesVersion: '1.37.2',
    podCidr: '10.42.0.0/16',
    serviceCidr: '10.43.0.0/16',
  };
  await database.prisma.environment.create({ data });
  return id;
}

const reconciled = (id: string) =>
  until(`${id} is reconciled`, async () => {
    const row = await database.prisma.environment.findUnique({ where: { id } });
    return JSON.stringify(row?.conditions).includes('The environment has no host');
  });

it('reconciles what it is told to, and completes its rows', async () => {
  const id = await environment('env_told');
  await queue.enqueue('reconcile-environment', { environmentId: id });
  await reconciled(id);
  expect(await database.prisma.service.count({ where: { environmentId: id } })).toBeGreaterThan(6);
  expect(await database.prisma.environmentSecret.count({ where: { environmentId: id } })).toBe(5);
});

it('finds by the clock what it is not told', async () => {
  await reconciled(await environment('env_untold'));
});

it('answers on its port, with metrics of its jobs', async () => {
  const get = async (path: string) => fetch(`http://127.0.0.1:${workerPort}${path}`);
  expect((await get('/livez')).status).toBe(200);
  expect((await get('/readyz')).status).toBe(200);
  expect(await (await get('/metrics')).text()).toMatch(/rancher_job_seconds_count\{[^}]*job="sweep"/);
  expect((await get('/other')).status).toBe(404);
});

it('outlives Postgres, and goes on by itself when it is back', async () => {
  await postgres.kill();
  // Jobs fail and connections are tried meanwhile; what counts is what happens after.
  await until('the database is away', () =>
    database.prisma.environment.count().then(
      () => false,
      () => true,
    ),
  );
  await postgres.resume();
  const id = await until('the database is back', () => environment('env_after'));
  await reconciled(id);
}, 60_000);
