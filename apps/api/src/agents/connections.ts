import { agentTimings } from '@rancher/contracts';
import type { PrismaClient } from '@rancher/db';
import { DomainError } from '@rancher/domain';
import { recordContact } from '@rancher/reconcilers';
import type { Logger, Metrics } from '@rancher/telemetry';
import type { Connection } from './connection.ts';

/** The control sockets that this replica holds: one for each host, the latest. */
export class Connections {
  readonly #byHost = new Map<string, Connection>();
  readonly #connected: { set(n: number): void };

  constructor(metrics: Metrics) {
    this.#connected = metrics.gauge('rancher_agents_connected', 'Agents whose socket this replica holds');
  }

  /** The present connection of a host, if it is the one asked about or any. */
  get(hostId: string): Connection | undefined {
    return this.#byHost.get(hostId);
  }

  /** @throws DomainError `host_unreachable` */
  of(hostId: string): Connection {
    const connection = this.#byHost.get(hostId);
    if (connection !== undefined) return connection;
    throw new DomainError('host_unreachable', 'The agent of the host is not connected.');
  }

  /** A later connection of the same host wins: the earlier one is of an agent, or a network, that is no more. */
  add(connection: Connection): void {
    const { hostId } = connection.info;
    this.#byHost.get(hostId)?.close(4000, 'replaced by a later connection');
    this.#byHost.set(hostId, connection);
    this.#connected.set(this.#byHost.size);
  }

  remove(connection: Connection): void {
    if (this.isCurrent(connection)) this.#byHost.delete(connection.info.hostId);
    this.#connected.set(this.#byHost.size);
  }

  isCurrent(connection: Connection): boolean {
    return this.#byHost.get(connection.info.hostId) === connection;
  }

  all(): Connection[] {
    return [...this.#byHost.values()];
  }
}

/** How long an agent that is there is quiet at most: it pings, and answers pings (ms). */
const quietMs = (agentTimings.pingSeconds + 1) * 1000;

/** Not heard of for longer than agents are ever quiet. */
export function isSilent({ heardAt }: Connection): boolean {
  return Date.now() - heardAt > quietMs;
}

/**
 * Pings every agent, drops those that are silent, and writes down all that were heard, with one statement for all.
 * @returns what ends it
 */
export function watchLiveness(options: {
  connections: Connections;
  prisma: PrismaClient;
  logger: Logger;
}): () => void {
  const { connections, prisma, logger } = options;
  const periodMs = agentTimings.pingSeconds * 1000;
  let lastTick = Date.now();
  const timer = setInterval(() => {
    const now = Date.now();
    // A tick that comes late says that it was we who slept: what agents said meanwhile is only now being read.
    const overslept = now - lastTick > 2 * periodMs;
    lastTick = now;
    const heard: string[] = [];
    for (const connection of connections.all()) {
      if (overslept) connection.heardAt = now;
      if (now - connection.heardAt > agentTimings.silentAfterSeconds * 1000) connection.terminate();
      else if (!isSilent(connection)) heard.push(connection.info.hostId);
      connection.send({ type: 'ping', at: now });
    }
    recordContact(prisma, heard).catch((error: unknown) =>
      logger.warn({ err: error }, 'contact not recorded'),
    );
  }, periodMs);
  return () => clearInterval(timer);
}
