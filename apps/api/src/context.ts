import type { IncomingMessage, ServerResponse } from 'node:http';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { ArtifactStore } from '@rancher/artifacts';
import type { Config } from '@rancher/config';
import type { PrismaClient } from '@rancher/db';
import type { Queue } from '@rancher/queue';
import type { Logger, Metrics } from '@rancher/telemetry';
import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from 'fastify';
import type { AgentHub, Agents } from './agents/hub.ts';
import type { Authenticator } from './auth/authenticator.ts';
import type { EventFeed } from './events/feed.ts';
import type { EventStream } from './http/sse.ts';
import type { HostsOf } from './streams/hosts-of.ts';
import type { KubeProxy } from './streams/kube-proxy.ts';
import type { Upstreams } from './streams/upstream.ts';
import type { ServerTls } from './tls/server-tls.ts';

export type App = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>;

/** What routes work with. Made once (see services.ts) and handed to every route's function. */
export interface Context {
  config: Pick<Config, 'home' | 'advertise' | 'agentImage'>;
  prisma: PrismaClient;
  queue: Pick<Queue, 'enqueue'>;
  artifacts: ArtifactStore;
  logger: Logger;
  metrics: Metrics;
  /** 32 bytes: what secrets are sealed under at rest. */
  masterKey: Buffer;
  auth: Authenticator;
  tls: ServerTls;
  /** Where other replicas reach this one. */
  replicaUrl: string;
  /** Agents whose sockets this replica holds. */
  hub: AgentHub;
  /** Agents of every replica. */
  agents: Agents;
  events: EventFeed;
  hostsOf: HostsOf;
  upstreams: Upstreams;
  kubeProxy: KubeProxy;
  /** Open event streams, to be ended on shutdown. */
  streams: Set<EventStream>;
  lifecycle: { stopping: boolean };
}
