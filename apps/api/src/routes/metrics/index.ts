import { Type } from 'typebox';
import { requireUnscoped } from '../../auth/principal.ts';
import type { App, Context } from '../../context.ts';
import { problems } from '../../http/schemas.ts';
import { caller } from '../../plugins/app/authentication.ts';

/** Prometheus metrics, for a key of any role that is not bound to one environment (`authorization` in its config). */
export function metrics(app: App, context: Context): void {
  app.get(
    '/metrics',
    {
      schema: {
        operationId: 'getMetrics',
        tags: ['server'],
        summary: 'Metrics in the format of Prometheus',
        response: {
          200: {
            description: 'Metrics',
            content: { 'text/plain': { schema: Type.String() } },
          },
          ...problems(),
        },
      },
    },
    async (request, reply) => {
      requireUnscoped(caller(request), 'read the metrics of the whole server');
      return reply
        .type(context.metrics.registry.contentType)
        .serializer((text: unknown) => text as string)
        .send(await context.metrics.registry.metrics());
    },
  );
}
