import { createArtifactStore } from '@rancher/artifacts';
import { openDatabase } from '@rancher/db';
import { createLogger, createMetrics } from '@rancher/telemetry';
import { createApp } from './app.ts';
import { createContext } from './services.ts';

/** The OpenAPI document of this API, as text. The routes are registered and never called, so nothing is connected to. */
export async function openApiDocument(): Promise<string> {
  const database = openDatabase({ url: 'postgres://nowhere.invalid/nothing' });
  const context = createContext({
    config: { home: '', agentImage: '', advertise: '' },
    prisma: database.prisma,
    queue: { enqueue: async () => {} },
    artifacts: createArtifactStore({ cacheDir: '' }),
    logger: createLogger({ name: 'openapi', level: 'fatal' }),
    metrics: createMetrics('openapi'),
    masterKey: Buffer.alloc(32),
    tls: { caPem: '', caSha256: '', certificatePem: '', privateKeyPem: '' },
    replicaUrl: '',
    systemKey: '',
  });
  const app = await createApp(context);
  try {
    return `${JSON.stringify(app.swagger(), null, 2)}\n`;
  } finally {
    await context.hub.close();
    await app.close();
    await database.close();
  }
}
