import { type Prisma, recordEvents, type Service } from '@rancher/db';
import { canonicalJson, DomainError } from '@rancher/domain';
import { previewPlan } from '@rancher/reconcilers';
import { type Static, Type } from 'typebox';
import { maySee, notFound } from '../../../auth/principal.ts';
import type { App, Context } from '../../../context.ts';
import { checkIfMatch, etagOf } from '../../../http/etag.ts';
import { mergePatch } from '../../../http/merge-patch.ts';
import { closed, dryRunQuery, idParams, ifMatchHeaders, problems } from '../../../http/schemas.ts';
import { wake } from '../../../intent/wake.ts';
import { caller } from '../../../plugins/app/authentication.ts';
import { assertNotRemoving, findEnvironment } from '../environments/find.ts';
import { type DryRunResult, dryRunResult, dryRunView } from '../plans/schema.ts';
import { servicePatch, serviceSchema, serviceView } from './schema.ts';
import { checkLabels } from './validate.ts';

export function patchService(app: App, context: Context): void {
  app.patch(
    '/v1/services/:id',
    {
      schema: {
        operationId: 'updateService',
        tags: ['services'],
        summary: "Change a service's labels: where it may run",
        description:
          'JSON merge patch. Needs `If-Match`. What runs against a hard rule then moves, one at a time.',
        consumes: ['application/merge-patch+json', 'application/json'],
        params: idParams,
        headers: ifMatchHeaders,
        querystring: closed(dryRunQuery),
        body: servicePatch,
        response: {
          200: Type.Union([serviceSchema, dryRunResult], {
            description: 'Changed; or with `dryRun` the plan',
          }),
          ...problems(
            'unknown_field',
            'invalid_value',
            'not_found',
            'conflict',
            'stale_etag',
            'precondition_required',
          ),
        },
      },
    },
    async (request, reply): Promise<Static<typeof serviceSchema> | DryRunResult> => {
      const { prisma } = context;
      const row = await prisma.service.findUnique({ where: { id: request.params.id } });
      if (row === null || !maySee(caller(request), row.environmentId))
        throw notFound('service', request.params.id);
      checkIfMatch(request, row, true);
      assertNotRemoving(await findEnvironment(prisma, request, row.environmentId));
      const labels = mergePatch(row.labels, request.body.labels ?? {}) as Record<string, string>;
      await checkLabels(prisma, row, labels);
      if (request.query.dryRun === true) {
        const preview = await previewPlan(prisma, row.environmentId, { service: { id: row.id, labels } });
        return dryRunView(preview);
      }
      const changed = await write(context, row, labels);
      await wake(context, row.environmentId);
      reply.header('etag', etagOf(changed));
      return serviceView(changed);
    },
  );
}

/** Writes on the very version that was judged, and counts as a change of its environment: what is to be carried through. */
function write({ prisma }: Context, row: Service, labels: Record<string, string>): Promise<Service> {
  return prisma.$transaction(async (tx) => {
    const { count } = await tx.service.updateMany({
      where: { id: row.id, resourceVersion: row.resourceVersion },
      data: { labels: labels as Prisma.InputJsonObject, resourceVersion: { increment: 1 } },
    });
    if (count === 0)
      throw new DomainError('stale_etag', 'It was changed by another request just now. Read it again.');
    if (canonicalJson(labels) !== canonicalJson(row.labels)) {
      const environment = await tx.environment.update({
        where: { id: row.environmentId },
        data: { generation: { increment: 1 }, resourceVersion: { increment: 1 } },
      });
      await recordEvents(tx, [
        {
          environmentId: environment.id,
          regarding: { kind: 'Service', id: row.id, name: row.name },
          type: 'Normal',
          reason: 'EnvironmentUpdated',
          message: `The labels of service ${row.name} of ${environment.name} were changed`,
        },
      ]);
    }
    return tx.service.findUniqueOrThrow({ where: { id: row.id } });
  });
}
