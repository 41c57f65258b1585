import { type IncomingMessage, STATUS_CODES } from 'node:http';

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
