import { Type } from 'typebox';
import { maySee, notFound } from '../../../auth/principal.ts';
import type { App, Context } from '../../../context.ts';
import { closed, idParams, problems } from '../../../http/schemas.ts';
import { caller } from '../../../plugins/app/authentication.ts';
import { instanceLog } from './schema.ts';

/**
 * The tail of an instance's log, from its host while that is the service's present run; else what the agent sent when
 * the instance last failed.
 */
export function getInstanceLog(app: App, context: Context): void {
  app.get(
    '/v1/instances/:id/log',
    {
      schema: {
        operationId: 'getInstanceLog',
        tags: ['instances'],
        summary: "Read the tail of an instance's log",
        params: idParams,
        querystring: closed({
          lines: Type.Optional(Type.Integer({ minimum: 1, maximum: 5000, default: 100 })),
        }),
        response: { 200: instanceLog, ...problems('not_found') },
      },
    },
    async (request) => {
      const { id } = request.params;
      const row = await context.prisma.instance.findUnique({ where: { id } });
      if (row === null || !maySee(caller(request), row.environmentId)) throw notFound('instance', id);
      const count = request.query.lines ?? 100;
      const live = row.removedAt === null ? await fromHost(context, row, count) : undefined;
      return {
        kind: 'InstanceLog' as const,
        instanceId: id,
        source: live === undefined ? 'stored' : 'host',
        lines: live ?? ((row.logTail as string[] | null) ?? []).slice(-count),
      };
    },
  );
}

async function fromHost(
  { agents, logger }: Context,
  row: { hostId: string; service: string },
  lines: number,
): Promise<string[] | undefined> {
  try {
    const result = await agents.ask(row.hostId, { method: 'logTail', service: row.service, lines });
    return (result as { lines: string[] }).lines;
  } catch (error) {
    logger.debug({ err: error, hostId: row.hostId }, 'log tail not from the host');
    return undefined;
  }
}
