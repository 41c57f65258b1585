import { previewPlan } from '@rancher/reconcilers';
import type { App, Context } from '../../../../context.ts';
import { closed, dryRunQuery, idempotencyHeaders, idParams, problems } from '../../../../http/schemas.ts';
import { accepted } from '../../../../intent/operations.ts';
import { caller } from '../../../../plugins/app/authentication.ts';
import { type OperationView, operationSchema, operationView } from '../../operations/schema.ts';
import { type DryRunResult, dryRunResult, dryRunView } from '../../plans/schema.ts';
import { setDesiredState } from '../desired-state.ts';
import { assertNotRemoving, findEnvironment } from '../find.ts';

/** `activate`: the server looks after it again. `deactivate`: it runs on as it is, and nothing of it is changed. */
export function activationActions(app: App, context: Context): void {
  for (const [action, desiredState] of [
    ['activate', 'active'],
    ['deactivate', 'inactive'],
  ] as const) {
    app.post(
      `/v1/environments/:id/actions/${action}`,
      {
        schema: {
          operationId: `${action}Environment`,
          tags: ['environments'],
          summary:
            action === 'activate' ? 'Look after an environment again' : 'Leave an environment as it is',
          params: idParams,
          headers: idempotencyHeaders,
          querystring: closed(dryRunQuery),
          response: {
            200: dryRunResult,
            202: operationSchema,
            ...problems('not_found', 'conflict', 'idempotency_mismatch'),
          },
        },
      },
      async (request, reply): Promise<OperationView | DryRunResult> => {
        const row = await findEnvironment(context.prisma, request, request.params.id);
        assertNotRemoving(row);
        if (request.query.dryRun === true) {
          return dryRunView(await previewPlan(context.prisma, row.id, { desiredState }));
        }
        const operation = await setDesiredState(context, caller(request), row, desiredState);
        accepted(reply, operation);
        return operationView(operation);
      },
    );
  }
}
