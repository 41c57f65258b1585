import type { App, Context } from '../../context.ts';

/** One line of log for each request, its id in the answer, and its time in the metrics. */
export function requests(app: App, context: Context): void {
  const seconds = context.metrics.histogram(
    'rancher_http_request_duration_seconds',
    'Time to answer, by route',
    ['method', 'route', 'status'],
    [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
  );
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id);
  });
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'unknown';
    seconds.observe(
      { method: request.method, route, status: String(reply.statusCode) },
      reply.elapsedTime / 1000,
    );
    const line = {
      method: request.method,
      path: request.url.split('?')[0],
      status: reply.statusCode,
      durationMs: Math.round(reply.elapsedTime * 10) / 10,
      principal: request.principal?.id,
      ...(request.problemCode === null ? {} : { code: request.problemCode }),
    };
    if (route === '/livez' || route === '/readyz' || route === '/metrics') request.log.debug(line, 'request');
    else request.log.info(line, 'request');
  });
}
