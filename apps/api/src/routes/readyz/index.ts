import { Type } from 'typebox';
import type { App, Context } from '../../context.ts';

const timeoutMs = 2_000;

/** Ready: the database answers and the server is not shutting down. */
export function readyz(app: App, context: Context): void {
  const body = Type.Object({
    status: Type.String({ enum: ['ok', 'unavailable'] }),
    checks: Type.Array(Type.Object({ name: Type.String(), ok: Type.Boolean() })),
  });
  app.get(
    '/readyz',
    {
      config: { auth: 'public' },
      schema: {
        operationId: 'getReadyz',
        tags: ['server'],
        summary: 'Whether the server can do its work',
        security: [],
        response: {
          200: { ...body, description: 'Ready' },
          503: { ...body, description: 'Not ready: the database does not answer, or it is shutting down' },
        },
      },
    },
    async (_request, reply) => {
      const checks = [
        { name: 'database', ok: await databaseAnswers(context) },
        { name: 'serving', ok: !context.lifecycle.stopping },
      ];
      const ok = checks.every((check) => check.ok);
      return reply.code(ok ? 200 : 503).send({ status: ok ? 'ok' : 'unavailable', checks });
    },
  );
}

async function databaseAnswers(context: Context): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), timeoutMs);
  });
  const asked = context.prisma.$queryRaw`SELECT 1`.then(
    () => true,
    () => false,
  );
  return Promise.race([asked, late]).finally(() => clearTimeout(timer));
}
