import type { Operation, Prisma, Queryable } from '@rancher/db';
import { newId } from '@rancher/domain';
import { operationSteps } from '@rancher/reconcilers';
import type { FastifyReply } from 'fastify';
import type { KeyPrincipal } from '../auth/principal.ts';

export type OperationKind = Parameters<typeof operationSteps>[0];

/** Writes the row of long work, which the reconciler carries through. */
export function createOperation(
  tx: Queryable,
  by: Pick<KeyPrincipal, 'id'>,
  kind: OperationKind,
  environmentId: string,
  target: { kind: 'Environment' | 'Host'; id: string; name: string },
  { options = {}, details = {} }: { options?: object; details?: object } = {},
): Promise<Operation> {
  const data: Prisma.OperationCreateInput = {
    id: newId('operation'),
    environmentId,
    kind,
    target,
    steps: operationSteps(kind) as unknown as Prisma.InputJsonValue,
    options,
    details,
    createdBy: by.id,
  };
  return tx.operation.create({ data });
}

/** 202 with where to look. */
export function accepted(reply: FastifyReply, operation: Operation): void {
  reply.code(202).header('location', `/v1/operations/${operation.id}`);
}
