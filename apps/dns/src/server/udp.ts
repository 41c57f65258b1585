import dgram from 'node:dgram';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';
import { type Counters, counted } from '../metrics.ts';
import { maxUdpBytes, rcode } from '../wire/constants.ts';
import type { Engine } from './engine.ts';
import { outcome } from './responder.ts';
import type { Sources } from './sources.ts';

export interface Listener {
  close(): void;
}

export interface ServerParts {
  address: string;
  port: number;
  engine: Engine;
  sources: Sources;
  counters: Counters;
}

/** Buffers for answers, used in turn: the kernel has taken an answer before its buffer comes round again. */
const ringSize = 64;

/**
 * Listens on one address and port, of which several threads may each have a socket: the kernel spreads clients over them.
 * @throws Error when the address cannot be had
 */
export async function listenUdp({
  address,
  port,
  engine,
  sources,
  counters,
}: ServerParts): Promise<Listener> {
  const socket = dgram.createSocket({
    type: isIPv6(address) ? 'udp6' : 'udp4',
    reusePort: true,
    // Addresses of answers are addresses already. The default goes round by the event loop's queue.
    lookup: (name, _family, done) => done(null, name, 0),
    recvBufferSize: 1 << 20,
    sendBufferSize: 1 << 20,
  });
  const ring = Array.from({ length: ringSize }, () => Buffer.alloc(maxUdpBytes));
  let turn = 0;
  let closed = false;
  socket.once('close', () => {
    closed = true;
  });
  socket.on('message', (packet, { address: from, port: fromPort }) => {
    counters.count(counted.udp);
    // What the kernel has not taken yet must not be written over.
    const waiting = socket.getSendQueueCount() > 0;
    turn = (turn + 1) % ringSize;
    const out = waiting ? Buffer.alloc(maxUdpBytes) : ring[turn]!;
    const length = sources.allows(from)
      ? engine.now(packet, out, maxUdpBytes, true)
      : refuse(engine, counters, packet, out);
    if (length > 0) socket.send(out, 0, length, fromPort, from);
    else if (length === outcome.drop) counters.count(counted.dropped);
    else {
      void engine.later(packet, maxUdpBytes, true).then((answer) => {
        if (!closed) socket.send(answer, fromPort, from);
      });
    }
  });
  // It may listen before `bind` returns, as nothing is looked up.
  const listening = once(socket, 'listening');
  socket.bind({ address, port });
  await listening;
  // A peer that is gone is no error of ours.
  socket.on('error', () => {});
  return socket;
}

/** Nothing is told to strangers, and no more bytes than they sent. */
export function refuse(engine: Engine, counters: Counters, packet: Buffer, out: Buffer): number {
  counters.count(counted.refusedSource);
  if (packet.length < 12 || (packet[2]! & 0x80) !== 0) return outcome.drop;
  engine.responder.query.parse(packet, packet.length);
  return engine.responder.fail(rcode.REFUSED, packet, out);
}
