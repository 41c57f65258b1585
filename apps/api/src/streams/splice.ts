import { type IncomingMessage, STATUS_CODES } from 'node:http';
import { type Duplex, pipeline } from 'node:stream';

/** The head of an answer as it goes over the wire. With `connection`, its body follows decoded, to the connection's end. */
export function rawHead(answer: IncomingMessage, connection?: string): string {
  const lines = [
    `HTTP/1.1 ${answer.statusCode} ${answer.statusMessage ?? STATUS_CODES[answer.statusCode ?? 500]}`,
  ];
  for (let i = 0; i < answer.rawHeaders.length; i += 2) {
    const name = answer.rawHeaders[i]!;
    if (connection !== undefined && /^(connection|transfer-encoding)$/i.test(name)) continue;
    lines.push(`${name}: ${answer.rawHeaders[i + 1]}`);
  }
  if (connection !== undefined) lines.push(`Connection: ${connection}`);
  return `${lines.join('\r\n')}\r\n\r\n`;
}

/** How long the other side gets to close too, once one side has ended and all of it was passed on (ms). */
const lingerMs = 5_000;

/** Joins two streams. What one side sent before it ended reaches the other; what breaks on one side breaks both. */
export function splice(a: Duplex, b: Duplex): void {
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    pipeline(from, to, (error) => {
      if (error) {
        from.destroy();
        to.destroy();
      } else setTimeout(() => [from, to].map((stream) => stream.destroy()), lingerMs).unref();
    });
  }
}
