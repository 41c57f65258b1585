import type { RegistrationToken } from '@rancher/db';
import { type Static, Type } from 'typebox';
import { component, nullable } from '../../../http/components.ts';
import { closed, dnsLabel, listOf, nullableTimestamp, timestamp, userLabels } from '../../../http/schemas.ts';

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
    command: nullable(
      Type.String({
        description:
          'What to run as root on the machine that is to join. Null: for a machine that makes local hosts',
      }),
    ),
    containerCommand: nullable(
      Type.String({ description: 'The same where the host is to be a container of Docker or Podman' }),
    ),
  }),
);

const wish = {
  description: Type.Optional(Type.String({ maxLength: 1000 })),
  maxUses: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000, default: 1 })),
  expiresInSeconds: Type.Optional(Type.Integer({ minimum: 1, maximum: 31_536_000, default: 3600 })),
  labels: Type.Optional(userLabels),
  name: Type.Optional(dnsLabel('Name of the host: an argument of the command')),
  address: Type.Optional(
    Type.String({ format: 'ipv4', description: 'Where other hosts reach it: an argument of the command' }),
  ),
};
export type TokenWish = Partial<Static<typeof tokenOfEnvironmentCreate>>;

export const tokenOfEnvironmentCreate = component(
  'EnvironmentRegistrationTokenCreate',
  closed(wish, {
    description: 'Labels, name and address become arguments of the command; the token is not bound to them',
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
    ...wish,
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
