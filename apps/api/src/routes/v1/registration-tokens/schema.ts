import type { RegistrationToken } from '@rancher/db';
import { type Static, Type } from 'typebox';
import { component, nullable } from '../../../http/components.ts';
import { closed, listOf, nullableTimestamp, timestamp } from '../../../http/schemas.ts';

const fields = {
  id: Type.String(),
  kind: Type.Literal('RegistrationToken'),
  environmentId: nullable(Type.String({ description: 'Null: for machines that make local hosts' })),
  hostId: nullable(Type.String({ description: 'The one host that it is for' })),
  description: Type.String(),
  createdAt: timestamp(),
  spec: Type.Object({ maxUses: Type.Integer(), expiresAt: timestamp() }),
  status: Type.Object({
    state: Type.String({ enum: ['active', 'spent', 'expired', 'revoked'] }),
    uses: Type.Integer(),
    revokedAt: nullableTimestamp(),
  }),
};
export const tokenSchema = component('RegistrationToken', Type.Object(fields));
export const tokenList = listOf('RegistrationTokenList', tokenSchema);
export const tokenCreated = component(
  'RegistrationTokenCreated',
  Type.Object({
    ...fields,
    token: Type.String({ description: 'Shown once' }),
    command: Type.String({ description: 'What to run on the machine that is to join' }),
  }),
);

export const tokenCreate = component(
  'RegistrationTokenCreate',
  closed({
    environmentId: Type.Optional(
      nullable(
        Type.String({
          description: 'Environment that hosts join with it. Null: machines that make local hosts',
        }),
      ),
    ),
    description: Type.Optional(Type.String({ maxLength: 1000 })),
    maxUses: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000, default: 1 })),
    expiresInSeconds: Type.Optional(Type.Integer({ minimum: 1, maximum: 31_536_000, default: 3600 })),
  }),
);

export function tokenView(row: RegistrationToken): Static<typeof tokenSchema> {
  return {
    id: row.id,
    kind: 'RegistrationToken',
    environmentId: row.environmentId,
    hostId: row.hostId,
    description: row.description,
    createdAt: row.createdAt.toISOString(),
    spec: { maxUses: row.maxUses, expiresAt: row.expiresAt.toISOString() },
    status: {
      state: stateOf(row),
      uses: row.uses,
      revokedAt: row.revokedAt?.toISOString() ?? null,
    },
  };
}

function stateOf(row: RegistrationToken): string {
  if (row.revokedAt !== null) return 'revoked';
  if (row.uses >= row.maxUses) return 'spent';
  return row.expiresAt.getTime() <= Date.now() ? 'expired' : 'active';
}
