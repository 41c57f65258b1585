import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Metrics } from '@rancher/telemetry';

export interface Monitoring {
  port: number;
  close(): Promise<void>;
}

/** Serves `/livez`, `/readyz` and Prometheus' `/metrics` on loopback; not at all with port 0. */
export async function serveMonitoring(
  port: number,
  metrics: Metrics,
  isReady: () => boolean,
): Promise<Monitoring | undefined> {
  if (port === 0) return undefined;
  const server = createServer(async (request, response) => {
    const path = new URL(request.url ?? '/', 'http://localhost').pathname;
    if (path === '/metrics') {
      response.setHeader('content-type', metrics.registry.contentType);
      response.end(await metrics.registry.metrics());
      return;
    }
    const ok = path === '/livez' || (path === '/readyz' && isReady());
    response.statusCode = ok ? 200 : path === '/readyz' ? 503 : 404;
    response.end(ok ? 'ok' : path === '/readyz' ? 'not ready' : 'not found');
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
