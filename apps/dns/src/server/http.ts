import { once } from 'node:events';
import { createServer, type Server } from 'node:http';

export interface Health {
  /** Why names cannot be answered yet; undefined: they can. */
  unready(): string | undefined;
  metrics(): string;
}

/** `/livez`, `/readyz` and `/metrics`, on loopback alone. @throws Error when the port is taken */
export async function listenHttp(port: number, health: Health): Promise<Server> {
  const server = createServer((request, response) => {
    const answer = (status: number, text: string, type = 'text/plain; charset=utf-8') =>
      response.writeHead(status, { 'content-type': type }).end(text);
    if (request.method !== 'GET' && request.method !== 'HEAD') return answer(405, 'GET only\n');
    if (request.url === '/livez') return answer(200, 'ok\n');
    if (request.url === '/metrics')
      return answer(200, health.metrics(), 'text/plain; version=0.0.4; charset=utf-8');
    if (request.url !== '/readyz') return answer(404, 'there are /livez, /readyz and /metrics\n');
    const why = health.unready();
    return why === undefined ? answer(200, 'ok\n') : answer(503, `${why}\n`);
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return server;
}
