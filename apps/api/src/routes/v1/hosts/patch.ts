import type { Prisma } from '@rancher/db';
import { DomainError } from '@rancher/domain';
import type { App, Context } from '../../../context.ts';
import { checkIfMatch, etagOf } from '../../../http/etag.ts';
import { mergePatch } from '../../../http/merge-patch.ts';
import { idParams, ifMatchHeaders, problems } from '../../../http/schemas.ts';
import { wake } from '../../../intent/wake.ts';
import { findHost } from './find.ts';
import { hostPatch, hostSchema, hostView } from './schema.ts';

export function patchHost(app: App, context: Context): void {
  app.patch(
    '/v1/hosts/:id',
    {
      schema: {
        operationId: 'updateHost',
        tags: ['hosts'],
        summary: "Change a host's labels",
        description: 'JSON merge patch. Needs `If-Match`. Labels decide what is placed on it.',
        consumes: ['application/merge-patch+json', 'application/json'],
        params: idParams,
        headers: ifMatchHeaders,
        body: hostPatch,
        response: {
          200: hostSchema,
          ...problems('unknown_field', 'not_found', 'stale_etag', 'precondition_required'),
        },
      },
    },
    async (request, reply) => {
      const { prisma } = context;
      const row = await findHost(prisma, request, request.params.id);
      checkIfMatch(request, row, true);
      const { count } = await prisma.host.updateMany({
        where: { id: row.id, resourceVersion: row.resourceVersion },
        data: {
          labels: mergePatch(row.labels, request.body.labels ?? {}) as Prisma.InputJsonObject,
          generation: { increment: 1 },
          resourceVersion: { increment: 1 },
        },
      });
      if (count === 0)
        throw new DomainError('stale_etag', 'It was changed by another request just now. Read it again.');
      const changed = await findHost(prisma, request, row.id);
      if (changed.environmentId !== null) await wake(context, changed.environmentId, [], { cluster: true });
      reply.header('etag', etagOf(changed));
      return hostView(changed);
    },
  );
}
