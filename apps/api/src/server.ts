import { readFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { createArtifactStore } from '@rancher/artifacts';
import { type Config, loadConfig } from '@rancher/config';
import { embeddedPostgresUrl, listen, migrate, openDatabase, type PrismaClient } from '@rancher/db';
import { createQueue } from '@rancher/queue';
import { createLogger, createMetrics } from '@rancher/telemetry';
import closeWithGrace from 'close-with-grace';
import { createApp } from './app.ts';
import { bootstrap, loadMasterKey } from './bootstrap.ts';
import { listenOn } from './listener.ts';
import { createContext, listenedChannels, notified } from './services.ts';
import { loadServerTls } from './tls/server-tls.ts';
import { createUpgrades } from './upgrades.ts';

const shutdownMs = 10_000;

/** Starts the API: migrate → bootstrap → serve. */
async function main(): Promise<void> {
  const config = loadConfig();
  const logger = createLogger({ name: 'api', level: config.logLevel, file: config.logFile });
  const url =
    config.databaseUrl ??
    (await embeddedPostgresUrl({ dir: `${config.home}/postgres`, port: config.postgresPort }));
  await migrate(url);
  const database = openDatabase({
    url,
    onError: (error) => logger.warn({ err: error }, 'database connection'),
  });
  const queue = createQueue(
    config.redisUrl === undefined ? { postgresUrl: url } : { redisUrl: config.redisUrl },
    (error) => logger.warn({ err: error }, 'queue'),
  );
  const masterKey = await loadMasterKey(config.masterKeyFile);
  await bootstrap(database.prisma, config);
  const tls = await loadServerTls(database.prisma, { masterKey, home: config.home, names: namesOf(config) });
  const replicaUrl = urlOf(config);
  await forgetSockets(database.prisma, replicaUrl);
  const context = createContext({
    config,
    prisma: database.prisma,
    queue,
    artifacts: createArtifactStore({ cacheDir: config.cache, mirror: config.artifactsMirror, logger }),
    logger,
    metrics: createMetrics('api'),
    masterKey,
    tls,
    replicaUrl,
    systemKey: (await readFile(config.systemKeyFile, 'utf8')).trim(),
  });
  const app = await createApp(context);
  const listening = await listen(
    url,
    listenedChannels,
    (channel, payload) => notified(context, channel, payload),
    (error) => logger.warn({ err: error }, 'notifications'),
  );
  const listener = await listenOn({
    port: config.port,
    addresses: config.listen,
    tls: { cert: tls.certificatePem + tls.caPem, key: tls.privateKeyPem },
    onRequest: app.routing,
    onUpgrade: createUpgrades(context),
  });
  logger.info({ addresses: listener.addresses }, 'listening');

  closeWithGrace({ delay: shutdownMs }, async ({ err }) => {
    if (err) logger.fatal({ err }, 'unexpected error');
    context.lifecycle.stopping = true;
    listener.stop();
    for (const stream of context.streams) stream.end();
    await context.hub.close();
    context.events.close();
    context.upstreams.close();
    await app.close();
    await listener.close();
    await listening.close();
    await queue.close();
    await database.close();
  });
}

/** Where other replicas reach this one: the first address that it listens on, and of all addresses an outer one. */
function urlOf(config: Config): string {
  const first = config.listen[0]!;
  const outer = Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .find((entry) => entry.family === 'IPv4' && !entry.internal)?.address;
  const address = isEverywhere(first) ? (outer ?? '127.0.0.1') : first;
  return `https://${address.includes(':') ? `[${address}]` : address}:${config.port}`;
}

/** A replica that has just started holds no sockets, whatever its predecessor left behind. */
async function forgetSockets(prisma: PrismaClient, replicaUrl: string): Promise<void> {
  await prisma.host.updateMany({
    where: { connectedTo: replicaUrl },
    data: { connectedTo: null, connectionId: null },
  });
}

function isEverywhere(address: string): boolean {
  return address === '0.0.0.0' || address === '::';
}

/** Every name and address that the server's certificate must hold. */
function namesOf(config: Config): string[] {
  const everywhere = config.listen.some(isEverywhere);
  const own = everywhere
    ? Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map((entry) => entry.address))
    : [];
  const advertised = config.advertise.replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
  // Link-local addresses have a zone, which certificates cannot hold.
  return [...config.listen, advertised, ...own].filter(
    (name) => !name.includes('%') && !name.startsWith('fe80'),
  );
}

await main();
