import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { splice } from './splice.ts';
import { WebSocketDuplex } from './websocket-duplex.ts';

const open: { close(): void }[] = [];
afterEach(() => {
  for (const one of open.splice(0)) one.close();
});

async function listen(onSocket: (socket: Socket) => void, options = {}): Promise<number> {
  const sockets = new Set<Socket>();
  const server: Server = createServer(options, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    onSocket(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  open.push({
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  });
  return (server.address() as AddressInfo).port;
}

/** As an agent and the server do it: caller ⇄ TCP ⇄ WebSocket ⇄ TCP ⇄ `port`. Gives the caller's socket. */
async function through(port: number): Promise<Socket> {
  const sockets = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });
  await once(sockets, 'listening');
  open.push(sockets);
  const near = new Promise<Duplex>((resolve) =>
    sockets.once('connection', (ws) => resolve(new WebSocketDuplex(ws))),
  );
  const far = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  await once(far, 'connect');
  const dialled = new WebSocket(`ws://127.0.0.1:${(sockets.address() as AddressInfo).port}`);
  const stream = new WebSocketDuplex(dialled);
  await once(dialled, 'open');
  splice(far, stream);
  const front = await listen((socket) => near.then((tunnel) => splice(socket, tunnel)), {
    allowHalfOpen: true,
  });
  const caller = connect({ port: front, host: '127.0.0.1', allowHalfOpen: true });
  caller.on('error', () => {});
  open.push({ close: () => caller.destroy() });
  await once(caller, 'connect');
  return caller;
}

const large = randomBytes(12_000_000);
const digest = (data: Buffer) => createHash('sha256').update(data).digest('hex');

/** Reads little by little, and talks all the while: what arrives on a closed socket makes TCP drop what waits there. */
async function readSlowly(caller: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of caller) {
    chunks.push(chunk);
    if (caller.writable) caller.write('.');
    for (let i = 0; i < 5; i++) await new Promise(setImmediate);
  }
  return Buffer.concat(chunks);
}

describe('splice', () => {
  it('delivers all to a slow caller who still talks', async () => {
    const port = await listen((socket) => socket.resume().end(large), { allowHalfOpen: true });
    expect(digest(await readSlowly(await through(port)))).toBe(digest(large));
  });

  it('carries both ways, and tells the end', async () => {
    const port = await listen((socket) => socket.pipe(socket), { allowHalfOpen: true });
    const caller = await through(port);
    caller.write('hello');
    expect(String((await once(caller, 'data'))[0])).toBe('hello');
    caller.resume().end();
    await once(caller, 'close');
  });

  it('breaks the far side when the caller breaks, and the caller when the far side does', async () => {
    const accepted: Socket[] = [];
    const port = await listen((socket) => accepted.push(socket.resume()), { allowHalfOpen: true });
    const gone = await through(port);
    gone.resetAndDestroy();
    await once(accepted[0]!, 'end');
    const left = await through(port);
    accepted[1]!.resetAndDestroy();
    await once(left.resume(), 'end');
  });
});
