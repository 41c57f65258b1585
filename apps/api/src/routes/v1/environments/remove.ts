import { previewPlan } from '@rancher/reconcilers';
import type { App, Context } from '../../../context.ts';
import { checkIfMatch } from '../../../http/etag.ts';
import { closed, dryRunQuery, idParams, ifMatchHeaders, problems } from '../../../http/schemas.ts';
import { accepted } from '../../../intent/operations.ts';
import { caller } from '../../../plugins/app/authentication.ts';
import { type OperationView, operationSchema, operationView } from '../operations/schema.ts';
import { type DryRunResult, dryRunResult, dryRunView } from '../plans/schema.ts';
import { setDesiredState } from './desired-state.ts';
import { findEnvironment } from './find.ts';

export function removeEnvironment(app: App, context: Context): void {
  app.delete(
    '/v1/environments/:id',
    {
      schema: {
        operationId: 'deleteEnvironment',
        tags: ['environments'],
        summary: 'Remove an environment wholly, with what runs in it',
        description: '`If-Match` is checked when it is sent.',
        params: idParams,
        headers: ifMatchHeaders,
        querystring: closed(dryRunQuery),
        response: { 200: dryRunResult, 202: operationSchema, ...problems('not_found', 'stale_etag') },
      },
    },
    async (request, reply): Promise<OperationView | DryRunResult> => {
      const row = await findEnvironment(context.prisma, request, request.params.id);
      checkIfMatch(request, row, false);
      if (request.query.dryRun === true) {
        return dryRunView(await previewPlan(context.prisma, row.id, { desiredState: 'removed' }));
      }
      const operation = await setDesiredState(context, caller(request), row, 'removed');
      accepted(reply, operation);
      return operationView(operation);
    },
  );
}
