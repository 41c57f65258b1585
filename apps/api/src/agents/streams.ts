import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type { StreamTarget } from '@rancher/contracts';
import { DomainError } from '@rancher/domain';
import { WebSocketDuplex } from '@rancher/streams';
import type { WebSocket } from 'ws';
import type { Connection } from './connection.ts';

const dialTimeoutMs = 2_000;

interface Expected {
  connection: Connection;
  resolve(stream: Duplex): void;
}

/**
 * Streams to hosts: the agent is asked for one, and dials it. Each is a WebSocket of binary frames, with backpressure, and
 * ends with the control socket on which it was asked for: of a host that fell silent, TCP would not tell for minutes.
 */
export function createStreams() {
  const expected = new Map<string, Expected>();
  const open = new Map<WebSocket, Connection>();

  return {
    async open(connection: Connection, target: StreamTarget): Promise<Duplex> {
      const streamId = randomBytes(16).toString('hex');
      const dialled = new Promise<Duplex>((resolve) => expected.set(streamId, { connection, resolve }));
      // The agent says yes once it has dialled, so its dial is on its way then, or was lost on it.
      const aborting = new AbortController();
      const late = connection
        .ask({ method: 'openStream', streamId, target })
        .then(() => delay(dialTimeoutMs, undefined, { signal: aborting.signal }))
        .then(() => {
          throw new DomainError('host_unreachable', 'The agent did not open the stream in time.');
        });
      try {
        return await Promise.race([dialled, late]);
      } finally {
        aborting.abort();
        late.catch(() => {});
        expected.delete(streamId);
      }
    },
    expects: (streamId: string, hostId: string) => expected.get(streamId)?.connection.info.hostId === hostId,
    accept(streamId: string, hostId: string, socket: WebSocket): boolean {
      const waiting = expected.get(streamId);
      if (waiting === undefined || waiting.connection.info.hostId !== hostId) return false;
      expected.delete(streamId);
      open.set(socket, waiting.connection);
      socket.on('close', () => open.delete(socket));
      const stream = new WebSocketDuplex(socket);
      // Whoever uses the stream hears of errors too; this keeps one that nobody uses any more from ending the process.
      stream.on('error', () => {});
      waiting.resolve(stream);
      return true;
    },
    /** Ends those that were asked for on this control socket. */
    end(connection: Connection): void {
      for (const [socket, of] of open) if (of === connection) socket.terminate();
    },
    close() {
      for (const socket of open.keys()) socket.terminate();
    },
  };
}
