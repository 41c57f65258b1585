import { once } from 'node:events';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { agentPaths, type StreamTarget, streamTargets } from '@rancher/contracts';
import { splice, WebSocketDuplex } from '@rancher/streams';
import type { Connection } from './connection.ts';

/**
 * Joins a stream that the server asked for to a port of the host's own components, never to an address of the caller's
 * choice. Resolves once both ends are open.
 */
export async function openStream(
  connection: Connection,
  streamId: string,
  target: StreamTarget,
): Promise<void> {
  // The key may come from anywhere: only an own one is a target.
  const port = Object.hasOwn(streamTargets, target) ? streamTargets[target] : undefined;
  if (port === undefined) throw new Error(`no stream goes to ${target}`);
  const socket = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
  try {
    await once(socket, 'connect');
    let stream: Duplex | undefined;
    await connection.openWebSocket(agentPaths.stream(streamId), (ws) => {
      stream = new WebSocketDuplex(ws); // from the first frame, which may come with the answer
    });
    splice(socket, stream!);
  } catch (error) {
    socket.destroy();
    throw error;
  }
}
