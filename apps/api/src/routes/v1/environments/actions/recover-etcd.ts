import { Type } from 'typebox';
import type { App, Context } from '../../../../context.ts';
import { component, nullable } from '../../../../http/components.ts';
import {
  closed,
  idempotencyHeaders,
  idParams,
  nullableTimestamp,
  problems,
} from '../../../../http/schemas.ts';
import { assessRecovery, startRecovery } from '../../../../intent/etcd-recovery.ts';
import { accepted } from '../../../../intent/operations.ts';
import { caller } from '../../../../plugins/app/authentication.ts';
import { operationSchema, operationView } from '../../operations/schema.ts';
import { assertNotRemoving, findEnvironment } from '../find.ts';

const body = component(
  'EtcdRecovery',
  closed({
    hostId: Type.Optional(
      Type.String({
        maxLength: 64,
        description:
          'The host whose member etcd begins anew from. Default: of those that answer, the one that holds the most',
      }),
    ),
  }),
);

const index = (description: string) => Type.Integer({ description });
const preview = component(
  'EtcdRecoveryPreview',
  Type.Object({
    kind: Type.Literal('EtcdRecoveryPreview'),
    survivor: Type.Object({
      hostId: Type.String(),
      host: Type.String(),
      memberId: Type.String(),
      appliedIndex: index('Raft index up to which it has applied everything'),
    }),
    members: Type.Array(
      Type.Object({
        hostId: Type.String(),
        host: Type.String(),
        answers: Type.Boolean(),
        appliedIndex: nullable(index('Now, or when it was last asked with success; null where it never was')),
        appliedAt: nullableTimestamp('When it was last asked with success'),
        lastSeenAt: nullableTimestamp('When its host was last heard'),
      }),
    ),
    message: Type.String({ description: 'What may be lost, in words' }),
  }),
);

const description = `Only where quorum is lost. etcd begins anew from what the member holds that has applied the most of those that answer; \
what only the others hold is lost. The other members are let go: when their hosts return, they join anew and empty. A dry run says \
who would survive, and what may be lost.`;

/** One call out of lost quorum. */
export function recoverEtcd(app: App, context: Context): void {
  app.post(
    '/v1/environments/:id/actions/recoverEtcd',
    {
      schema: {
        operationId: 'recoverEtcd',
        tags: ['environments'],
        summary: 'Recover etcd from lost quorum, from its best survivor',
        description,
        params: idParams,
        headers: idempotencyHeaders,
        querystring: closed({
          dryRun: Type.Optional(
            Type.Boolean({
              description: 'Change nothing; answer with who would survive, and what may be lost.',
            }),
          ),
        }),
        body: Type.Optional(body),
        response: {
          200: preview,
          202: operationSchema,
          ...problems('not_found', 'conflict', 'idempotency_mismatch', 'invalid_value', 'unknown_field'),
        },
      },
    },
    async (request, reply) => {
      const row = await findEnvironment(context.prisma, request, request.params.id);
      assertNotRemoving(row);
      const dryRun = request.query.dryRun === true;
      const assessed = await assessRecovery(context, row.id, { hostId: request.body?.hostId, dryRun });
      if ('underWay' in assessed) {
        accepted(reply, assessed.underWay);
        return operationView(assessed.underWay);
      }
      if (dryRun) return { kind: 'EtcdRecoveryPreview' as const, ...assessed.choice };
      const operation = await startRecovery(context, caller(request), assessed);
      accepted(reply, operation);
      return operationView(operation);
    },
  );
}
