import { recordEvents } from '@rancher/db';
import { type Condition, DomainError, findCondition } from '@rancher/domain';
import type { App, Context } from '../../../../context.ts';
import { etagOf } from '../../../../http/etag.ts';
import { idempotencyHeaders, idParams, problems } from '../../../../http/schemas.ts';
import { wake } from '../../../../intent/wake.ts';
import { caller } from '../../../../plugins/app/authentication.ts';
import { assertNotRemoving, findEnvironment } from '../find.ts';
import { environmentSchema, environmentView } from '../schema.ts';

/** The brake holds while many hosts that vanished together are away; who knows that they are gone for good says so here. */
export function releaseBrake(app: App, context: Context): void {
  app.post(
    '/v1/environments/:id/actions/releaseBrake',
    {
      schema: {
        operationId: 'releaseBrake',
        tags: ['environments'],
        summary: 'Release the brake: what ran on the hosts that vanished may be started elsewhere',
        description: 'Hosts that vanish later can put it on again.',
        params: idParams,
        headers: idempotencyHeaders,
        response: {
          200: environmentSchema,
          ...problems('not_found', 'conflict', 'idempotency_mismatch'),
        },
      },
    },
    async (request, reply) => {
      const row = await findEnvironment(context.prisma, request, request.params.id);
      assertNotRemoving(row);
      const brake = findCondition(row.conditions as unknown as Condition[], 'Brake');
      if (brake?.status !== 'True')
        throw new DomainError('conflict', `No brake is on in environment ${row.name}.`);
      const changed = await context.prisma.environment.update({
        where: { id: row.id },
        data: {
          brakeReleasedAt: new Date(),
          generation: { increment: 1 },
          resourceVersion: { increment: 1 },
        },
      });
      await recordEvents(context.prisma, [
        {
          environmentId: row.id,
          regarding: { kind: 'Environment', id: row.id, name: row.name },
          type: 'Normal',
          reason: 'BrakeReleased',
          message: `The brake was released by key ${caller(request).name}: ${brake.message}`,
        },
      ]);
      await wake(context, row.id);
      reply.header('etag', etagOf(changed));
      return environmentView(changed);
    },
  );
}
