import type { ArtifactStore } from '@rancher/artifacts';
import { channels } from '@rancher/contracts';
import type { PrismaClient } from '@rancher/db';
import type { Queue } from '@rancher/queue';
import type { Logger, Metrics } from '@rancher/telemetry';
import { createAgentHub } from './agents/hub.ts';
import { createRelay } from './agents/relay.ts';
import { createEnvironmentSecrets } from './agents/secrets.ts';
import { createAuthenticator } from './auth/authenticator.ts';
import type { Context } from './context.ts';
import { createEventFeed } from './events/feed.ts';
import { agentPrograms } from './joining/programs.ts';
import { createHostsOf } from './streams/hosts-of.ts';
import { createKubeProxy } from './streams/kube-proxy.ts';
import { createUpstreams } from './streams/upstream.ts';
import type { ServerTls } from './tls/server-tls.ts';

/** What comes from outside: the adapters that server.ts, or a test, opens. */
export interface Adapters {
  config: Context['config'];
  prisma: PrismaClient;
  queue: Pick<Queue, 'enqueue'>;
  artifacts: ArtifactStore;
  logger: Logger;
  metrics: Metrics;
  masterKey: Buffer;
  tls: ServerTls;
  /** Where other replicas reach this one. */
  replicaUrl: string;
  /** Key of role `system`, for calls between replicas. */
  systemKey: string;
}

/** Puts the parts together: the one place that knows which needs which. */
export function createContext(adapters: Adapters): Context {
  const { prisma, queue, logger, metrics, masterKey } = adapters;
  const secrets = createEnvironmentSecrets(prisma, masterKey);
  const hub = createAgentHub({
    prisma,
    secrets,
    replica: adapters.replicaUrl,
    logger,
    metrics,
    programs: agentPrograms(),
    wake: (environmentId) => {
      queue.enqueue('reconcile-environment', { environmentId }).catch((error: unknown) => {
        logger.warn({ err: error, environmentId }, 'wake-up lost; the sweep will find it');
      });
    },
  });
  const agents = createRelay({
    hub,
    prisma,
    self: adapters.replicaUrl,
    systemKey: adapters.systemKey,
    caPem: adapters.tls.caPem,
  });
  const hostsOf = createHostsOf(prisma);
  const upstreams = createUpstreams({ tunnels: agents, secrets });
  return {
    ...adapters,
    auth: createAuthenticator(prisma),
    hub,
    agents,
    events: createEventFeed({ prisma, logger }),
    hostsOf,
    upstreams,
    kubeProxy: createKubeProxy({ agents, upstreams, hostsOf }),
    streams: new Set(),
    lifecycle: { stopping: false },
  };
}

/** The channels that {@link notified} wants to hear of. */
export const listenedChannels = [channels.plan, channels.machine, channels.identity, channels.event];

/** Hands a Postgres notification to those whom it concerns; an empty payload means "look at everything". */
export function notified(context: Context, channel: string, payload: string): void {
  if (channel === channels.plan) context.hostsOf.forget(payload);
  if (channel === channels.event) context.events.notified();
  else context.hub.notified(channel, payload);
}
