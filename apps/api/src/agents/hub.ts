import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import {
  type AgentMessage,
  agentTimings,
  channels,
  type ServerRequest,
  type StreamTarget,
} from '@rancher/contracts';
import type { PrismaClient } from '@rancher/db';
import { contentHash, DomainError } from '@rancher/domain';
import { recordContact } from '@rancher/reconcilers';
import type { Logger, Metrics } from '@rancher/telemetry';
import type { WebSocket } from 'ws';
import { Connection } from './connection.ts';
import { createIngestion } from './ingestion.ts';
import { createPusher } from './pusher.ts';
import { answer } from './requests.ts';
import type { EnvironmentSecrets } from './secrets.ts';
import {
  createPlanStore,
  createSpecStore,
  cutSlice,
  loadHosts,
  loadLocalHosts,
  type SliceHost,
} from './slices.ts';
import { createStreams } from './streams.ts';

/** What the rest of the API does with agents. */
export interface Agents {
  /** Asks the agent of a host. @throws DomainError `host_unreachable` */
  ask(hostId: string, request: ServerRequest): Promise<unknown>;
  /** A stream to one of the host's own components. @throws DomainError `host_unreachable` */
  openTunnel(hostId: string, target: StreamTarget): Promise<Duplex>;
  /** Whether this replica holds the host's socket. */
  holds(hostId: string): boolean;
}

export interface AgentHub extends Agents {
  /** Takes over the control socket of an authenticated host. */
  accept(socket: WebSocket, host: { id: string; environmentId: string | null; gone: boolean }): void;
  /** Takes over a stream that a host dialled. False: nobody asked that host for it. */
  acceptStream(streamId: string, hostId: string, socket: WebSocket): boolean;
  expectsStream(streamId: string, hostId: string): boolean;
  /** A Postgres notification; an empty payload means "look at everything". */
  notified(channel: string, payload: string): void;
  close(): Promise<void>;
}

export function createAgentHub(options: {
  prisma: PrismaClient;
  secrets: EnvironmentSecrets;
  /** What `Host.connectedTo` says of the hosts that are held here. */
  replica: string;
  logger: Logger;
  metrics: Metrics;
  /** Enqueues `reconcile-environment`. */
  wake(environmentId: string): void;
}): AgentHub {
  const { prisma, secrets, replica, logger, wake } = options;
  const connections = new Map<string, Connection>();
  const specs = createSpecStore(prisma);
  const plans = createPlanStore(prisma);
  const ingestion = createIngestion({ prisma, replicaId: replica, logger, wake });
  const streams = createStreams();
  const pusher = createPusher({ push, logger });
  const connected = options.metrics.gauge(
    'rancher_agents_connected',
    'Agents whose socket this replica holds',
  );

  /** Sends the present slices to these hosts, as far as they differ from what was sent last. */
  async function push(hostIds: string[]): Promise<void> {
    const held = hostIds.filter((id) => connections.get(id)?.greeted === true);
    if (held.length === 0) return;
    const hosts = await loadHosts(prisma, held);
    const machines = hosts.filter((host) => host.kind === 'machine').map((host) => host.id);
    const localHosts = machines.length === 0 ? new Map() : await loadLocalHosts(prisma, machines);
    for (const host of hosts) {
      const plan = host.environment === null ? undefined : await plans.target(host.environment);
      await sendSlice(host, cutSlice(host, plan, localHosts.get(host.id) ?? []));
    }
  }

  async function sendSlice(host: SliceHost, slice: ReturnType<typeof cutSlice>): Promise<void> {
    const connection = connections.get(host.id);
    if (connection === undefined || connection.sentSlice === contentHash(slice)) return;
    connection.sentSlice = contentHash(slice);
    const unsent = slice.instances.map((i) => i.specHash).filter((hash) => !connection.sentSpecs.has(hash));
    const found = unsent.length === 0 ? new Map() : await specs.get(unsent);
    for (const hash of found.keys()) connection.sentSpecs.add(hash);
    connection.send({ type: 'slice', slice: { ...slice, specs: Object.fromEntries(found) } });
  }

  function onMessage(connection: Connection, message: AgentMessage): void {
    const { hostId, id: connectionId } = connection.info;
    if (connections.get(hostId) !== connection) return;
    switch (message.type) {
      case 'hello': {
        const { facts, inventory, localHosts } = message;
        connection.makesLocalHosts = facts.localHosts;
        const news = {
          hello: { connectionId, facts },
          inventory,
          ...(facts.localHosts ? { localHosts } : {}),
        };
        void ingestion.add(hostId, news).then(() => greet(connection));
        return;
      }
      case 'inventory': {
        const { inventory, localHosts } = message;
        void ingestion.add(hostId, { inventory, ...(connection.makesLocalHosts ? { localHosts } : {}) });
        return;
      }
      case 'facts':
        void ingestion.add(hostId, { facts: message.facts });
        return;
      case 'refused':
        logger.warn(
          { hostId, generation: message.generation, seen: message.seen },
          'slice refused as older than seen',
        );
        return;
      case 'request':
        void reply(connection, message);
        return;
    }
  }

  /** Inventory is up: now the agent may be told what to run. */
  function greet(connection: Connection): void {
    if (connections.get(connection.info.hostId) !== connection || connection.greeted) return;
    connection.greeted = true;
    connection.send({
      type: 'welcome',
      hostId: connection.info.hostId,
      serverTime: new Date().toISOString(),
    });
    pusher.push(connection.info.hostId);
  }

  async function reply(connection: Connection, request: AgentMessage & { type: 'request' }): Promise<void> {
    try {
      const result = await answer({ prisma, plans, specs, secrets }, connection.info.hostId, request);
      connection.send({ type: 'reply', id: request.id, ok: true, result });
    } catch (error) {
      const known = error instanceof DomainError;
      if (!known)
        logger.error(
          { err: error, hostId: connection.info.hostId, method: request.method },
          'request of an agent failed',
        );
      connection.send({
        type: 'reply',
        id: request.id,
        ok: false,
        error: known ? error.message : 'the server could not answer',
      });
    }
  }

  const tick = setInterval(() => {
    const now = Date.now();
    const heard: string[] = [];
    for (const [hostId, connection] of connections) {
      if (now - connection.heardAt > agentTimings.reconnectingAfterSeconds * 1000) connection.terminate();
      else heard.push(hostId);
      connection.send({ type: 'ping', at: now });
    }
    if (heard.length > 0) {
      recordContact(prisma, heard).catch((error: unknown) =>
        logger.warn({ err: error }, 'contact not recorded'),
      );
    }
  }, agentTimings.pingSeconds * 1000);
  // A notification may be lost with its connection: what is target is looked at by the clock too.
  const look = setInterval(() => pusher.pushAll([...connections.keys()]), 30_000);

  return {
    accept(socket, host) {
      const id = randomBytes(8).toString('hex');
      const connection: Connection = new Connection(
        { id, hostId: host.id, environmentId: host.environmentId },
        socket,
        (message) => onMessage(connection, message),
        () => {
          if (connections.get(host.id) === connection) connections.delete(host.id);
          connected.set(connections.size);
          if (!host.gone) void ingestion.add(host.id, { disconnected: { connectionId: id } });
        },
      );
      connections.get(host.id)?.close(4000, 'replaced by a later connection');
      connections.set(host.id, connection);
      connected.set(connections.size);
      if (host.gone) greet(connection);
    },
    acceptStream: streams.accept,
    expectsStream: streams.expects,
    holds: (hostId) => connections.has(hostId),
    ask: (hostId, request) => connectionOf(hostId).ask(request),
    openTunnel: (hostId, target) => streams.open(connectionOf(hostId), target),
    notified(channel, payload) {
      if (channel === channels.machine && payload !== '') return pusher.push(payload);
      if (channel !== channels.plan && channel !== channels.machine) return;
      for (const { info } of connections.values()) {
        if (payload === '' || info.environmentId === payload) pusher.push(info.hostId);
      }
    },
    async close() {
      clearInterval(tick);
      clearInterval(look);
      for (const connection of connections.values()) connection.close(1001, 'the server shuts down');
      streams.close();
      await pusher.close();
      await ingestion.close();
    },
  };

  function connectionOf(hostId: string): Connection {
    const connection = connections.get(hostId);
    if (connection === undefined)
      throw new DomainError('host_unreachable', 'The agent of the host is not connected.');
    return connection;
  }
}
