import type { EnvironmentOptions } from '@rancher/components';
import { type Environment, type Prisma, recordEvents } from '@rancher/db';
import { canonicalJson, DomainError } from '@rancher/domain';
import { ensureSystemStack, previewPlan } from '@rancher/reconcilers';
import { type Static, Type } from 'typebox';
import type { App, Context } from '../../../context.ts';
import { checkIfMatch, etagOf } from '../../../http/etag.ts';
import { mergePatch } from '../../../http/merge-patch.ts';
import { closed, dryRunQuery, idParams, ifMatchHeaders, problems } from '../../../http/schemas.ts';
import { wake } from '../../../intent/wake.ts';
import { type DryRunResult, dryRunResult, dryRunView } from '../plans/schema.ts';
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
        querystring: closed(dryRunQuery),
        body: environmentPatch,
        response: {
          200: Type.Union([environmentSchema, dryRunResult], {
            description: 'Changed; or with `dryRun` the plan',
          }),
          ...problems('unknown_field', 'not_found', 'conflict', 'stale_etag', 'precondition_required'),
        },
      },
    },
    async (request, reply): Promise<Static<typeof environmentSchema> | DryRunResult> => {
      const row = await findEnvironment(context.prisma, request, request.params.id);
      checkIfMatch(request, row, true);
      assertNotRemoving(row);
      assertNameKept(row, request.body);
      const options = patchedOptions(row, request.body);
      const controlPlaneReplicas = request.body.spec?.controlPlane?.replicas ?? row.controlPlaneReplicas;
      const spec = { options, controlPlaneReplicas };
      if (request.query.dryRun === true) return dryRunView(await previewPlan(context.prisma, row.id, spec));
      const changed = await write(context, row, request.body, spec);
      if (changed.generation !== row.generation) await wake(context, row.id);
      reply.header('etag', etagOf(changed));
      return environmentView(changed);
    },
  );
}

function patchedOptions(row: Environment, patch: EnvironmentPatch): EnvironmentOptions {
  const options = mergePatch(row.options, patch.spec?.options ?? {}) as EnvironmentOptions;
  assertFixedOptions(row.options as EnvironmentOptions, options);
  return options;
}

/** Writes on the very version that was judged: one that came between makes it stale. */
function write(
  { prisma }: Context,
  row: Environment,
  patch: EnvironmentPatch,
  { options, controlPlaneReplicas }: { options: EnvironmentOptions; controlPlaneReplicas: number },
): Promise<Environment> {
  const scaleChanged = controlPlaneReplicas !== row.controlPlaneReplicas;
  const specChanged = scaleChanged || canonicalJson(options) !== canonicalJson(row.options);
  return prisma.$transaction(async (tx) => {
    const { count } = await tx.environment.updateMany({
      where: { id: row.id, resourceVersion: row.resourceVersion },
      data: {
        ...(patch.description === undefined ? {} : { description: patch.description }),
        ...(patch.labels === undefined
          ? {}
          : { labels: mergePatch(row.labels, patch.labels) as Prisma.InputJsonObject }),
        options: options as Prisma.InputJsonObject,
        controlPlaneReplicas,
        resourceVersion: { increment: 1 },
        ...(specChanged ? { generation: { increment: 1 } } : {}),
      },
    });
    if (count === 0)
      throw new DomainError('stale_etag', 'It was changed by another request just now. Read it again.');
    const changed = await tx.environment.findUniqueOrThrow({ where: { id: row.id } });
    if (scaleChanged) await ensureSystemStack(tx, { ...changed, environmentId: row.id });
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
  });
}

/** Nodes carry the name in their provider ID, which Kubernetes does not let change. @throws DomainError `invalid_value` */
function assertNameKept(row: Environment, patch: EnvironmentPatch): void {
  if (patch.name === undefined || patch.name === row.name) return;
  throw new DomainError('invalid_value', "An environment's name is for ever.", { pointer: '/name' });
}

/** The nodes have their blocks already. @throws DomainError `invalid_value` */
function assertFixedOptions(before: EnvironmentOptions, after: EnvironmentOptions): void {
  if (before.nodeCidrMaskSize === after.nodeCidrMaskSize) return;
  throw new DomainError('invalid_value', 'nodeCidrMaskSize can be chosen at creation only.', {
    pointer: '/spec/options/nodeCidrMaskSize',
  });
}
