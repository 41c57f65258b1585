import type { EnvironmentOptions } from '@rancher/components';
import { type Environment, type Prisma, recordEvents } from '@rancher/db';
import { canonicalJson, DomainError } from '@rancher/domain';
import type { App, Context } from '../../../context.ts';
import { checkIfMatch, etagOf } from '../../../http/etag.ts';
import { mergePatch } from '../../../http/merge-patch.ts';
import { idParams, ifMatchHeaders, problems } from '../../../http/schemas.ts';
import { withFreeName } from '../../../intent/unique.ts';
import { wake } from '../../../intent/wake.ts';
import { assertNotRemoving, findEnvironment } from './find.ts';
import { type EnvironmentPatch, environmentPatch, environmentSchema, environmentView } from './schema.ts';

export function patchEnvironment(app: App, context: Context): void {
  app.patch(
    '/v1/environments/:id',
    {
      schema: {
        operationId: 'updateEnvironment',
        tags: ['environments'],
        summary: 'Change an environment',
        description: 'JSON merge patch. Needs `If-Match`.',
        consumes: ['application/merge-patch+json', 'application/json'],
        params: idParams,
        headers: ifMatchHeaders,
        body: environmentPatch,
        response: {
          200: environmentSchema,
          ...problems(
            'unknown_field',
            'not_found',
            'name_taken',
            'conflict',
            'stale_etag',
            'precondition_required',
          ),
        },
      },
    },
    async (request, reply) => {
      const row = await findEnvironment(context.prisma, request, request.params.id);
      checkIfMatch(request, row, true);
      assertNotRemoving(row);
      const changed = await write(context, row, request.body);
      if (changed.generation !== row.generation) await wake(context, row.id);
      reply.header('etag', etagOf(changed));
      return environmentView(changed);
    },
  );
}

/** Writes on the very version that was judged: one that came between makes it stale. */
function write({ prisma }: Context, row: Environment, patch: EnvironmentPatch): Promise<Environment> {
  const options =
    patch.spec?.options === undefined ? row.options : mergePatch(row.options, patch.spec.options);
  assertFixedOptions(row.options, options);
  const specChanged = canonicalJson(options) !== canonicalJson(row.options);
  return withFreeName(patch.name ?? row.name, () =>
    prisma.$transaction(async (tx) => {
      const { count } = await tx.environment.updateMany({
        where: { id: row.id, resourceVersion: row.resourceVersion },
        data: {
          ...(patch.name === undefined ? {} : { name: patch.name }),
          ...(patch.description === undefined ? {} : { description: patch.description }),
          ...(patch.labels === undefined
            ? {}
            : { labels: mergePatch(row.labels, patch.labels) as Prisma.InputJsonObject }),
          options: options as Prisma.InputJsonObject,
          resourceVersion: { increment: 1 },
          ...(specChanged ? { generation: { increment: 1 } } : {}),
        },
      });
      if (count === 0)
        throw new DomainError('stale_etag', 'It was changed by another request just now. Read it again.');
      const changed = await tx.environment.findUniqueOrThrow({ where: { id: row.id } });
      await recordEvents(tx, [
        {
          environmentId: row.id,
          regarding: { kind: 'Environment', id: row.id, name: changed.name },
          type: 'Normal',
          reason: 'EnvironmentUpdated',
          message: `Environment ${changed.name} was changed: ${Object.keys(patch).join(', ') || 'nothing'}`,
        },
      ]);
      return changed;
    }),
  );
}

/** The nodes have their blocks already. @throws DomainError `invalid_value` */
function assertFixedOptions(before: unknown, after: unknown): void {
  const size = (options: unknown) => (options as EnvironmentOptions).nodeCidrMaskSize;
  if (size(before) === size(after)) return;
  throw new DomainError('invalid_value', 'nodeCidrMaskSize can be chosen at creation only.', {
    pointer: '/spec/options/nodeCidrMaskSize',
  });
}
