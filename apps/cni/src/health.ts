import { createServer, type Server } from 'node:http';
import type { Policies } from './policy/policies.ts';

/**
 * On loopback: `/healthz`, that the daemon's loop turns and the rules of policies are written; `/metrics` for Prometheus.
 * Whether pods can be connected is what STATUS says, to kubelet.
 */
export async function serveHealth(port: number, policies: Policies | undefined): Promise<Server> {
  const server = createServer((request, response) => {
    const problem = policies?.problem();
    if (request.url === '/healthz')
      response.writeHead(problem === undefined ? 200 : 503).end(`${problem ?? 'ok'}\n`);
    else if (request.url === '/metrics')
      response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' }).end(policies?.metrics() ?? '');
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve, reject) =>
    server.once('error', reject).listen(port, '127.0.0.1', resolve),
  );
  return server;
}
