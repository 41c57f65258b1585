import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { type AgentPrograms, channels, type ServerRequest, type StreamTarget } from '@rancher/contracts';
import type { PrismaClient } from '@rancher/db';
import type { Logger, Metrics } from '@rancher/telemetry';
import type { WebSocket } from 'ws';
import { Connection } from './connection.ts';
import { Connections, isSilent, watchLiveness } from './connections.ts';
import { createIngestion } from './ingestion.ts';
import { handleMessage } from './messages.ts';
import { createMetadataSender } from './metadata.ts';
import { createPusher } from './pusher.ts';
import { answer } from './requests.ts';
import type { EnvironmentSecrets } from './secrets.ts';
import { createSliceSender } from './slice-sender.ts';
import { createPlanStore, createSpecStore } from './slices.ts';
import { createStreams } from './streams.ts';

/** How often the targets are looked at by the clock: a notification may be lost with its connection. */
const lookEveryMs = 30_000;

/** What the rest of the API does with agents. */
export interface Agents {
  /** Asks the agent of a host. @throws DomainError `host_unreachable` */
  ask(hostId: string, request: ServerRequest): Promise<unknown>;
  /** A stream to one of the host's own components. @throws DomainError `host_unreachable` */
  openTunnel(hostId: string, target: StreamTarget): Promise<Duplex>;
  /** Whether this replica holds the host's socket. */
  holds(hostId: string): boolean;
  /**
   * Its agent has not been heard of for longer than agents are ever quiet; of a host that another replica holds: it was
   * not there when that was last asked.
   */
  isSilent(hostId: string): boolean;
  /** Whether the agent of a host is there now, or was within the last second; false after at most a second. */
  answers(hostId: string): Promise<boolean>;
}

export interface AgentHub extends Agents {
  /** Takes over the control socket of an authenticated host. `gone`: its row was removed; it is told so, no more. */
  accept(socket: WebSocket, host: { id: string; environmentId: string | null; gone: boolean }): void;
  /** Takes over a stream that a host dialled. False: nobody asked that host for it. */
  acceptStream(streamId: string, hostId: string, socket: WebSocket): boolean;
  expectsStream(streamId: string, hostId: string): boolean;
  /** A Postgres notification; an empty payload means "look at everything". */
  notified(channel: string, payload: string): void;
  close(): Promise<void>;
}

export interface HubOptions {
  prisma: PrismaClient;
  secrets: EnvironmentSecrets;
  /** What `Host.connectedTo` says of the hosts that are held here. */
  replica: string;
  logger: Logger;
  metrics: Metrics;
  /** What installed agents are to be; undefined where this process runs from source. */
  programs?: AgentPrograms | undefined;
  /** Enqueues `reconcile-environment`. */
  wake(environmentId: string): void;
}

/** The agents whose sockets this replica holds. Puts the parts of this folder together. */
export function createAgentHub(options: HubOptions): AgentHub {
  const { prisma, secrets, replica, logger, metrics, programs, wake } = options;
  const connections = new Connections(metrics);
  const specs = createSpecStore(prisma);
  const plans = createPlanStore(prisma);
  const ingestion = createIngestion({ prisma, replicaId: replica, logger, wake });
  const streams = createStreams();
  const pusher = createPusher({ push: createSliceSender({ prisma, connections, plans, specs }), logger });
  const endLiveness = watchLiveness({ connections, prisma, logger });
  const metadata = createMetadataSender({ prisma, connections, logger });
  const look = setInterval(() => {
    pushWhere(() => true);
    metadata.changedAny();
  }, lookEveryMs);
  const handling = {
    ingestion,
    logger,
    greet,
    recorded: tell,
    answer: (hostId: string, request: Parameters<typeof answer>[2]) =>
      answer({ prisma, plans, specs, secrets }, hostId, request),
  };

  /** Inventory is up: now the agent may be told what to run. */
  function greet(connection: Connection): void {
    if (!connections.isCurrent(connection) || connection.greeted) return;
    connection.greeted = true;
    const { hostId } = connection.info;
    connection.send({
      type: 'welcome',
      hostId,
      serverTime: new Date().toISOString(),
      ...(programs === undefined ? {} : { programs }),
    });
    pusher.push(hostId);
    tell(connection);
  }

  /** What an agent says of its host, others of its environment may want to know. */
  function tell({ info }: Connection): void {
    if (info.environmentId !== null) metadata.changed(info.environmentId);
  }

  function pushWhere(wanted: (connection: Connection) => boolean): void {
    pusher.pushAll(
      connections
        .all()
        .filter(wanted)
        .map((connection) => connection.info.hostId),
    );
  }

  return {
    accept(socket, host) {
      const id = randomBytes(8).toString('hex');
      const connection: Connection = new Connection(
        { id, hostId: host.id, environmentId: host.environmentId },
        socket,
        (message) => connections.isCurrent(connection) && handleMessage(handling, connection, message),
        () => {
          connections.remove(connection);
          streams.end(connection);
          if (!host.gone) void ingestion.add(host.id, { disconnected: { connectionId: id } });
        },
      );
      connections.add(connection);
      if (host.gone) greet(connection);
    },
    acceptStream: streams.accept,
    expectsStream: streams.expects,
    holds: (hostId) => connections.get(hostId) !== undefined,
    isSilent(hostId) {
      const connection = connections.get(hostId);
      return connection !== undefined && isSilent(connection);
    },
    answers: async (hostId) => (await connections.get(hostId)?.answers()) ?? false,
    ask: async (hostId, request) => connections.of(hostId).ask(request),
    openTunnel: async (hostId, target) => streams.open(connections.of(hostId), target),
    notified(channel, payload) {
      if (channel === channels.identity)
        return connections.get(payload)?.close(4003, 'its identity was replaced');
      if (channel === channels.machine && payload !== '') return pusher.push(payload);
      pushWhere(({ info }) => payload === '' || info.environmentId === payload);
      if (payload === '') metadata.changedAny();
      else metadata.changed(payload);
    },
    async close() {
      endLiveness();
      clearInterval(look);
      for (const connection of connections.all()) connection.close(1001, 'the server shuts down');
      streams.close();
      await pusher.close();
      await metadata.close();
      await ingestion.close();
    },
  };
}
