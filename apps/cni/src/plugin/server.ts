import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { type Call, formatError, formatResult, parseCall } from './call.ts';

/** A call larger than this is none: the kernel bounds environments, and a configuration is a page or two. */
const largestCall = 4 << 20;

/** Listens for the plugin's front on a unix socket that root alone may use; whoever listened there before is gone. */
export async function listen(path: string, answer: (call: Call) => Promise<string>): Promise<Server> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  rmSync(path, { force: true });
  const server = createServer({ allowHalfOpen: true }, (socket) => serve(socket, answer));
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(path, resolve));
  chmodSync(path, 0o600);
  return server;
}

function serve(socket: Socket, answer: (call: Call) => Promise<string>): void {
  const parts: Buffer[] = [];
  let size = 0;
  socket.on('data', (part: Buffer) => {
    parts.push(part);
    size += part.length;
    if (size > largestCall) socket.destroy();
  });
  // A front that was killed does not read its answer. What it asked for is done all the same: DEL comes after it.
  socket.on('error', () => {});
  socket.once('end', () => {
    reply(Buffer.concat(parts), answer).then(
      (text) => socket.end(text),
      () => socket.destroy(),
    );
  });
}

async function reply(data: Buffer, answer: (call: Call) => Promise<string>): Promise<string> {
  let version: string | undefined;
  try {
    const call = parseCall(data);
    version = call.config.cniVersion;
    return formatResult(await answer(call));
  } catch (error) {
    return formatError(error, version);
  }
}
