import type { FastifyReply } from 'fastify';

const heartbeatMs = 15_000;
/** A client that leaves so much unread is let go; it resumes where it was (bytes). */
const maxBuffered = 1024 * 1024;

export interface EventStream {
  /** False: the client is gone, or too slow. */
  send(message: { id?: string; event?: string; data: unknown }): boolean;
  onClose(run: () => void): void;
  end(): void;
}

/** Turns a reply into a stream of server-sent events (WHATWG HTML, 9.2), with comments that keep it open. */
export function openEventStream(reply: FastifyReply): EventStream {
  const { raw } = reply;
  reply.hijack();
  raw.writeHead(200, {
    ...(reply.getHeaders() as Record<string, string>),
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  });
  raw.write(': connected\n\n');
  const heartbeat = setInterval(() => raw.write(': alive\n\n'), heartbeatMs);
  raw.on('close', () => clearInterval(heartbeat));
  raw.on('error', () => raw.destroy());
  return {
    send({ id, event, data }) {
      if (raw.destroyed || raw.writableEnded) return false;
      if (raw.writableLength > maxBuffered) {
        raw.destroy();
        return false;
      }
      const head = `${id === undefined ? '' : `id: ${id}\n`}${event === undefined ? '' : `event: ${event}\n`}`;
      raw.write(`${head}data: ${JSON.stringify(data)}\n\n`);
      return true;
    },
    onClose: (run) => void raw.on('close', run),
    end: () => void raw.end(),
  };
}
