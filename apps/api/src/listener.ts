import { once } from 'node:events';
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/** First byte of a TLS record that holds a handshake (RFC 8446, 5.1). */
const tlsHandshake = 0x16;
/** A connection that says nothing at all is dropped after this (ms). */
const firstByteTimeoutMs = 10_000;
/** Longer than clients keep theirs, so that it is they who close. */
const keepAliveTimeoutMs = 75_000;

export interface Listener {
  /** Where it listens: the port is the same for every address. */
  addresses: { address: string; port: number }[];
  /** Takes no more connections, and ends those that do nothing. */
  stop(): void;
  /** Ends all of them. */
  close(): Promise<void>;
}

/**
 * One port, two protocols, told apart by the first byte: TLS for everyone, plain HTTP on loopback alone.
 * @throws Error that names the address that cannot be had
 */
export async function listenOn(options: {
  port: number;
  addresses: string[];
  tls: { cert: string; key: string };
  onRequest(request: IncomingMessage, response: ServerResponse): void;
  onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
}): Promise<Listener> {
  const plain = createHttpServer(options.onRequest);
  const secure = createHttpsServer({ ...options.tls, ALPNProtocols: ['http/1.1'] }, options.onRequest);
  for (const server of [plain, secure]) {
    server.on('upgrade', options.onUpgrade);
    server.keepAliveTimeout = keepAliveTimeoutMs;
    // They never listen themselves; this starts their checks for slow requests.
    server.emit('listening');
  }
  secure.on('tlsClientError', (_error, socket) => socket.destroy());

  const sockets = new Set<Socket>();
  const fronts: Server[] = [];
  let port = options.port;
  for (const address of options.addresses) {
    const front = createServer({ noDelay: true, keepAlive: true }, (socket) => {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
      sniff(socket, (isTls) => (isTls ? secure : plain).emit('connection', socket));
    });
    front.listen(port, address);
    await once(front, 'listening');
    fronts.push(front);
    port = (front.address() as AddressInfo).port;
  }
  const listener: Listener = {
    addresses: options.addresses.map((address) => ({ address, port })),
    stop() {
      for (const front of fronts) front.close();
      plain.closeIdleConnections();
      secure.closeIdleConnections();
    },
    async close() {
      listener.stop();
      for (const socket of sockets) socket.destroy();
      await Promise.all(fronts.map((front) => front.listening && once(front, 'close')));
      // Ends their checks; they were never listening, which is the error that is passed here.
      plain.close(() => {});
      secure.close(() => {});
    },
  };
  return listener;
}

function sniff(socket: Socket, hand: (isTls: boolean) => void): void {
  const giveUp = () => socket.destroy();
  socket.setTimeout(firstByteTimeoutMs, giveUp);
  socket.on('error', giveUp);
  socket.once('readable', () => {
    const first = socket.read(1) as Buffer | null;
    if (first === null) return giveUp(); // closed before it said anything
    socket.setTimeout(0);
    socket.off('timeout', giveUp);
    socket.unshift(first);
    const isTls = first[0] === tlsHandshake;
    if (!isTls && !isLoopback(socket.remoteAddress)) return refusePlain(socket);
    hand(isTls);
  });
}

export function isLoopback(address: string | undefined): boolean {
  return address !== undefined && /^(::ffff:)?127\.|^::1$/.test(address);
}

function refusePlain(socket: Socket): void {
  const body = 'This server speaks plain HTTP on loopback alone. Use https.\n';
  socket.end(
    `HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
  );
}
