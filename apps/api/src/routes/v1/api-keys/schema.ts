import type { ApiKey } from '@rancher/db';
import { type Static, Type } from 'typebox';
import { keyRoles } from '../../../auth/principal.ts';
import { component, nullable } from '../../../http/components.ts';
import { closed, listOf, nullableTimestamp, timestamp } from '../../../http/schemas.ts';

const fields = {
  id: Type.String(),
  kind: Type.Literal('ApiKey'),
  name: Type.String(),
  environmentId: nullable(Type.String({ description: 'Null: every environment' })),
  createdAt: timestamp(),
  createdBy: nullable(Type.String()),
  spec: Type.Object({
    role: Type.String({ enum: [...keyRoles] }),
    expiresAt: nullableTimestamp(),
  }),
  status: Type.Object({
    state: Type.String({ enum: ['active', 'expired', 'revoked'] }),
    prefix: Type.String({ description: 'The beginning of the key, to tell keys apart' }),
    revokedAt: nullableTimestamp(),
    lastUsedAt: nullableTimestamp(),
  }),
};
export const apiKeySchema = component('ApiKey', Type.Object(fields));
export const apiKeyList = listOf('ApiKeyList', apiKeySchema);
export const apiKeyCreated = component(
  'ApiKeyCreated',
  Type.Object({ ...fields, key: Type.String({ description: 'Shown once' }) }),
);
export const apiKeyCreate = component(
  'ApiKeyCreate',
  closed({
    name: Type.String({ minLength: 1, maxLength: 100 }),
    role: Type.String({ enum: ['admin', 'read-only'] }),
    environmentId: Type.Optional(nullable(Type.String({ description: 'Null: every environment' }))),
    expiresAt: Type.Optional(nullableTimestamp()),
  }),
);

export function apiKeyView(row: ApiKey): Static<typeof apiKeySchema> {
  return {
    id: row.id,
    kind: 'ApiKey',
    name: row.name,
    environmentId: row.environmentId,
    createdAt: row.createdAt.toISOString(),
    createdBy: row.createdBy,
    spec: { role: row.role, expiresAt: row.expiresAt?.toISOString() ?? null },
    status: {
      state: stateOf(row),
      prefix: row.prefix,
      revokedAt: row.revokedAt?.toISOString() ?? null,
      lastUsedAt: row.lastUsedAt?.toISOString() ?? null,
    },
  };
}

function stateOf(row: ApiKey): string {
  if (row.revokedAt !== null) return 'revoked';
  return row.expiresAt !== null && row.expiresAt.getTime() <= Date.now() ? 'expired' : 'active';
}
