import { type AgentMessage, agentProtocolVersion } from '@rancher/contracts';
import { DomainError } from '@rancher/domain';
import type { Logger } from '@rancher/telemetry';
import type { Connection } from './connection.ts';
import type { Ingestion } from './ingestion.ts';

interface Handling {
  ingestion: Ingestion;
  logger: Logger;
  /** Called once what a `hello` says is written down. */
  greet(connection: Connection): void;
  /** Called once an inventory is written down. */
  recorded(connection: Connection): void;
  /** Answers a request. @throws DomainError that may be shown to the agent */
  answer(hostId: string, request: AgentMessage & { type: 'request' }): Promise<unknown>;
}

/** What becomes of each message of an agent. */
export function handleMessage(handling: Handling, connection: Connection, message: AgentMessage): void {
  const { ingestion, logger } = handling;
  const { hostId } = connection.info;
  switch (message.type) {
    case 'hello':
      hello(handling, connection, message);
      return;
    case 'inventory': {
      const { inventory, localHosts } = message;
      void ingestion
        .add(hostId, { inventory, ...(connection.makesLocalHosts ? { localHosts } : {}) })
        .then(() => handling.recorded(connection));
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
      void reply(handling, connection, message);
      return;
  }
}

function hello(
  { ingestion, greet }: Handling,
  connection: Connection,
  message: AgentMessage & { type: 'hello' },
): void {
  const { protocol, facts, inventory, localHosts } = message;
  if (protocol !== agentProtocolVersion) {
    connection.close(4001, `this server speaks version ${agentProtocolVersion} of the protocol`);
    return;
  }
  connection.makesLocalHosts = facts.localHosts;
  const { hostId, id: connectionId } = connection.info;
  const news = { hello: { connectionId, facts }, inventory, ...(facts.localHosts ? { localHosts } : {}) };
  void ingestion.add(hostId, news).then(() => greet(connection));
}

async function reply(
  { answer, logger }: Handling,
  connection: Connection,
  request: AgentMessage & { type: 'request' },
): Promise<void> {
  const { hostId } = connection.info;
  try {
    const result = await answer(hostId, request);
    connection.send({ type: 'reply', id: request.id, ok: true, result });
  } catch (error) {
    const known = error instanceof DomainError;
    if (!known) logger.error({ err: error, hostId, method: request.method }, 'request of an agent failed');
    const text = known ? error.message : 'the server could not answer';
    connection.send({ type: 'reply', id: request.id, ok: false, error: text });
  }
}
