import { recordEvents } from '@rancher/db';
import { DomainError } from '@rancher/domain';
import type { DrainDetails } from '@rancher/reconcilers';
import { maySee, notFound } from '../../../auth/principal.ts';
import type { App, Context } from '../../../context.ts';
import { idempotencyHeaders, idParams, problems } from '../../../http/schemas.ts';
import { caller } from '../../../plugins/app/authentication.ts';
import { operationSchema, operationView } from './schema.ts';

/** What can be left half done: a host stays cordoned then, and pods that have left do not come back by themselves. */
const cancelable = ['host.cordon', 'host.uncordon', 'host.drain', 'host.evacuate', 'host.remove'];

export function cancelOperation(app: App, context: Context): void {
  app.post(
    '/v1/operations/:id/actions/cancel',
    {
      schema: {
        operationId: 'cancelOperation',
        tags: ['operations'],
        summary: 'Cancel an operation that empties a host',
        description:
          'What was done stays done: the host stays cordoned. A removal can be canceled until it is drained.',
        params: idParams,
        headers: idempotencyHeaders,
        response: { 200: operationSchema, ...problems('not_found', 'conflict', 'idempotency_mismatch') },
      },
    },
    async (request) => {
      const { prisma } = context;
      const { id } = request.params;
      const row = await prisma.operation.findUnique({ where: { id } });
      if (row === null || !maySee(caller(request), row.environmentId)) throw notFound('operation', id);
      const drained = (row.details as DrainDetails).drainedAt !== undefined;
      if (!cancelable.includes(row.kind) || (row.kind === 'host.remove' && drained))
        throw new DomainError('conflict', `${row.kind} cannot be canceled${drained ? ' any more' : ''}.`);
      // It may have moved on since it was read.
      const count = await prisma.$executeRaw`
        UPDATE "Operation" SET "state" = 'canceled', "finishedAt" = now(), "updatedAt" = now()
        WHERE "id" = ${id} AND "state" IN ('pending', 'running')
          AND ("kind" <> 'host.remove' OR "details" ->> 'drainedAt' IS NULL)`;
      const after = await prisma.operation.findUniqueOrThrow({ where: { id } });
      if (count === 0) throw new DomainError('conflict', `It is ${after.state}, and cannot be canceled.`);
      const { kind, ...target } = row.target as { kind: string; id: string; name: string };
      await recordEvents(prisma, [
        {
          environmentId: row.environmentId,
          regarding: { kind: 'Operation', id, name: row.kind },
          type: 'Normal',
          reason: 'OperationFinished',
          message: `${row.kind} of ${kind.toLowerCase()} ${target.name} was canceled by key ${caller(request).name}`,
          data: { state: 'canceled' },
        },
      ]);
      return operationView(after);
    },
  );
}
