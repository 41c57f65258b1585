import type { App, Context } from '../../../context.ts';
import { checkIfMatch } from '../../../http/etag.ts';
import { idParams, ifMatchHeaders, problems } from '../../../http/schemas.ts';
import { accepted } from '../../../intent/operations.ts';
import { caller } from '../../../plugins/app/authentication.ts';
import { operationSchema, operationView } from '../operations/schema.ts';
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
        response: { 202: operationSchema, ...problems('not_found', 'stale_etag') },
      },
    },
    async (request, reply) => {
      const row = await findEnvironment(context.prisma, request, request.params.id);
      checkIfMatch(request, row, false);
      const operation = await setDesiredState(context, caller(request), row, 'removed');
      accepted(reply, operation);
      return operationView(operation);
    },
  );
}
