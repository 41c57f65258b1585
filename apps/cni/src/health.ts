import { createServer, type Server } from 'node:http';

/** `/healthz` on loopback: that the daemon's loop turns. Whether pods can be connected is what STATUS says, to kubelet. */
export async function serveHealth(port: number): Promise<Server> {
  const server = createServer((request, response) => {
    response.writeHead(request.url === '/healthz' ? 200 : 404).end(request.url === '/healthz' ? 'ok\n' : '');
  });
  await new Promise<void>((resolve, reject) =>
    server.once('error', reject).listen(port, '127.0.0.1', resolve),
  );
  return server;
}
