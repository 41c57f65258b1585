import type { Operation } from '@rancher/db';
import { operationStates } from '@rancher/domain';
import { type Static, Type } from 'typebox';
import { component, nullable } from '../../../http/components.ts';
import { anything, listOf, nullableTimestamp, timestamp } from '../../../http/schemas.ts';

export const operationSchema = component(
  'Operation',
  Type.Object({
    id: Type.String(),
    kind: Type.Literal('Operation'),
    type: Type.String({ description: 'Such as environment.create' }),
    environmentId: nullable(Type.String()),
    target: Type.Object({ kind: Type.String(), id: Type.String(), name: Type.Optional(Type.String()) }),
    createdAt: timestamp(),
    updatedAt: timestamp(),
    createdBy: Type.String({ description: 'Id of the API key that asked for it' }),
    status: Type.Object({
      state: Type.String({ enum: [...operationStates] }),
      steps: Type.Array(
        Type.Object({
          name: Type.String(),
          state: Type.String(),
          startedAt: Type.Optional(nullableTimestamp()),
          finishedAt: Type.Optional(nullableTimestamp()),
          message: Type.Optional(nullable(Type.String())),
        }),
      ),
      details: Type.Optional(
        anything(
          'What was found while it is carried out, such as the pods that a budget keeps, and since when',
        ),
      ),
      error: Type.Optional(anything('Why it failed: a problem, with its code')),
      finishedAt: nullableTimestamp(),
    }),
  }),
);
export type OperationView = Static<typeof operationSchema>;
export const operationList = listOf('OperationList', operationSchema);

export function operationView(row: Operation): OperationView {
  return {
    id: row.id,
    kind: 'Operation',
    type: row.kind,
    environmentId: row.environmentId,
    target: row.target as OperationView['target'],
    createdAt: row.createdAt.toISOString(),
    updatedAt: row.updatedAt.toISOString(),
    createdBy: row.createdBy,
    status: {
      state: row.state,
      steps: row.steps as OperationView['status']['steps'],
      ...(Object.keys(row.details as object).length === 0
        ? {}
        : { details: row.details as Record<string, unknown> }),
      ...(row.error === null ? {} : { error: row.error as Record<string, unknown> }),
      finishedAt: row.finishedAt?.toISOString() ?? null,
    },
  };
}
