import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { counted } from '../metrics.ts';
import { maxMessageBytes } from '../wire/constants.ts';
import { outcome } from './responder.ts';
import { type Listener, refuse, type ServerParts } from './udp.ts';

/** RFC 7766, 6.2.3: a few seconds of silence end a connection. */
const idleMs = 10_000;
const mostConnections = 500;
/** Questions of one connection that wait for an answer; more are read when some have it. */
const mostWaiting = 64;

/** @throws Error when the address cannot be had */
export async function listenTcp(parts: ServerParts): Promise<Listener> {
  const server = createServer({ noDelay: true }, (socket) => serve(socket, parts));
  server.maxConnections = mostConnections;
  server.listen({ host: parts.address, port: parts.port, reusePort: true });
  await once(server, 'listening');
  server.on('error', () => {});
  return server;
}

function serve(socket: Socket, { engine, sources, counters }: ServerParts): void {
  const allowed = sources.allows(socket.remoteAddress ?? '');
  let received: Buffer = Buffer.alloc(0);
  let waiting = 0;
  socket.setTimeout(idleMs, () => socket.destroy());
  socket.on('error', () => socket.destroy());

  function take(): void {
    while (waiting < mostWaiting && received.length >= 2) {
      const end = 2 + received.readUInt16BE(0);
      if (received.length < end) return;
      const packet = Buffer.from(received.subarray(2, end));
      received = received.subarray(end);
      counters.count(counted.tcp);
      answer(packet);
    }
    if (waiting >= mostWaiting) socket.pause();
  }

  function answer(packet: Buffer): void {
    const out = Buffer.allocUnsafe(maxMessageBytes);
    const length = allowed
      ? engine.now(packet, out, maxMessageBytes, false)
      : refuse(engine, counters, packet, out);
    // Not a query: who says that over TCP does not speak the protocol.
    if (length === outcome.drop) socket.destroy();
    else if (length > 0) write(out.subarray(0, length));
    else {
      waiting++;
      void engine.later(packet, maxMessageBytes, false).then((late) => {
        waiting--;
        write(late);
        socket.resume();
        take();
      });
    }
  }

  function write(message: Buffer): void {
    if (socket.destroyed) return;
    const framed = Buffer.allocUnsafe(2 + message.length);
    framed.writeUInt16BE(message.length);
    message.copy(framed, 2);
    socket.write(framed);
  }

  socket.on('data', (chunk: Buffer) => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
    take();
  });
}
