import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createArtifactStore } from '@rancher/artifacts';
import { type Database, listen, openDatabase } from '@rancher/db';
import { createQueue, type Queue } from '@rancher/queue';
import { createLogger, createMetrics } from '@rancher/telemetry';
import { freePort, startPostgres, type TestServer } from '@rancher/testing';
import { createApp } from '../app.ts';
import { bootstrap, loadMasterKey } from '../bootstrap.ts';
import type { App, Context } from '../context.ts';
import { createApiKeyRow } from '../intent/api-keys.ts';
import { type Listener, listenOn } from '../listener.ts';
import { createContext, listenedChannels, notified } from '../services.ts';
import { loadServerTls } from '../tls/server-tls.ts';
import { createUpgrades } from '../upgrades.ts';

/** The whole API on a Postgres of its own, listening on a port of its own. */
export interface Harness {
  app: App;
  context: Context;
  database: Database;
  postgres: TestServer;
  home: string;
  port: number;
  /** Keys by what they may do. */
  keys: { admin: string; readOnly: string; system: string };
  /** A new key, of every environment unless one is named. */
  newKey(role: 'admin' | 'read-only', environmentId?: string): Promise<string>;
  call(method: Method, url: string, options?: CallOptions): Promise<Answer>;
  stop(): Promise<void>;
}

export type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE' | 'PUT';
export interface CallOptions {
  /** `admin` unless told; null sends none. */
  key?: string | null;
  body?: unknown;
  headers?: Record<string, string>;
  /** Address that the call seems to come from. */
  from?: string;
}
export interface Answer {
  status: number;
  headers: Record<string, string | string[] | number | undefined>;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  body: any;
  text: string;
}

export async function startHarness(): Promise<Harness> {
  const home = await mkdtemp(join(tmpdir(), 'rancher-test-api-'));
  const removeHome = () => rm(home, { recursive: true, force: true });
  const postgres = await startPostgres().catch(async (error: unknown) => {
    await removeHome();
    throw error;
  });
  const clean = async () => {
    await postgres.stop();
    await removeHome();
  };
  try {
    const replica = await startReplica(postgres, home);
    return {
      ...replica,
      async stop() {
        await replica.stop();
        await clean();
      },
    };
  } catch (error) {
    await clean();
    throw error;
  }
}

/** One replica of the API on a database and with files that others may share. */
export async function startReplica(postgres: TestServer, home: string): Promise<Harness> {
  const port = await freePort();
  const database = openDatabase({ url: postgres.url });
  const queue = createQueue({ postgresUrl: postgres.url });
  const context = await openContext(home, port, database, queue);
  const app = await createApp(context);
  const listening = await listen(postgres.url, listenedChannels, (c, p) => notified(context, c, p));
  const listener = await serve(context, app, port);
  const newKey = async (role: 'admin' | 'read-only' | 'system', environmentId: string | null = null) => {
    const wish = { name: `test ${role}`, role, environmentId, createdBy: null };
    return (await database.prisma.$transaction((tx) => createApiKeyRow(tx, wish))).secret;
  };
  const keys = {
    admin: await newKey('admin'),
    readOnly: await newKey('read-only'),
    system: await newKey('system'),
  };
  return {
    app,
    context,
    database,
    postgres,
    home,
    port,
    keys,
    newKey,
    call: (method, url, options = {}) => call(app, method, url, { key: keys.admin, ...options }),
    async stop() {
      context.lifecycle.stopping = true;
      for (const stream of context.streams) stream.end();
      await context.hub.close();
      context.events.close();
      context.upstreams.close();
      await app.close();
      await listener.close();
      await listening.close();
      await queue.close();
      await database.close();
    },
  };
}

async function openContext(home: string, port: number, { prisma }: Database, queue: Queue): Promise<Context> {
  const files = { home, systemKeyFile: join(home, 'system.key'), masterKeyFile: join(home, 'master.key') };
  const masterKey = await loadMasterKey(files.masterKeyFile);
  await bootstrap(prisma, files);
  return createContext({
    config: { home, advertise: `127.0.0.1:${port}`, agentImage: 'rancher-agent' },
    prisma,
    queue,
    artifacts: createArtifactStore({ cacheDir: join(home, 'cache') }),
    logger: createLogger({ name: 'test', level: 'fatal' }),
    metrics: createMetrics('test'),
    masterKey,
    tls: await loadServerTls(prisma, { masterKey, home, names: ['127.0.0.1'] }),
    replicaUrl: `https://127.0.0.1:${port}`,
    systemKey: (await readFile(files.systemKeyFile, 'utf8')).trim(),
  });
}

function serve(context: Context, app: App, port: number): Promise<Listener> {
  return listenOn({
    port,
    addresses: ['127.0.0.1'],
    tls: { cert: context.tls.certificatePem + context.tls.caPem, key: context.tls.privateKeyPem },
    onRequest: app.routing,
    onUpgrade: createUpgrades(context),
  });
}

async function call(app: App, method: Method, url: string, options: CallOptions): Promise<Answer> {
  const json = options.body === undefined ? {} : { 'content-type': 'application/json' };
  const answer = await app.inject({
    method,
    url,
    ...(options.from === undefined ? {} : { remoteAddress: options.from }),
    headers: {
      ...json,
      ...(options.key == null ? {} : { authorization: `Bearer ${options.key}` }),
      ...options.headers,
    },
    ...(options.body === undefined
      ? {}
      : { payload: typeof options.body === 'string' ? options.body : JSON.stringify(options.body) }),
  });
  const isJson = String(answer.headers['content-type'] ?? '').includes('json');
  return {
    status: answer.statusCode,
    headers: answer.headers,
    text: answer.payload,
    body: isJson && answer.payload !== '' ? JSON.parse(answer.payload) : undefined,
  };
}
