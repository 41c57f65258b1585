import { networkInterfaces } from 'node:os';
import { createArtifactStore } from '@rancher/artifacts';
import { type Config, loadConfig } from '@rancher/config';
import { embeddedPostgresUrl, listen, migrate, openDatabase } from '@rancher/db';
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
  const context = createContext({
    config,
    prisma: database.prisma,
    queue,
    artifacts: createArtifactStore({ cacheDir: config.cache, mirror: config.artifactsMirror, logger }),
    logger,
    metrics: createMetrics('api'),
    masterKey,
    tls,
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
    await context.agents.close();
    context.events.close();
    context.upstreams.close();
    await app.close();
    await listener.close();
    await listening.close();
    await queue.close();
    await database.close();
  });
}

/** Every name and address that the server's certificate must hold. */
function namesOf(config: Config): string[] {
  const everywhere = config.listen.some((address) => address === '0.0.0.0' || address === '::');
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
