import { type ApiKey, type Queryable, recordEvents } from '@rancher/db';
import { newId } from '@rancher/domain';
import { hashSecret, newSecret, visiblePrefix } from '../auth/keys.ts';
import type { KeyRole } from '../auth/principal.ts';

/** Writes a key; its secret is given here and nowhere again. */
export async function createApiKeyRow(
  tx: Queryable,
  wish: {
    name: string;
    role: KeyRole;
    environmentId: string | null;
    createdBy: string | null;
    expiresAt?: Date | null;
    /** One that is known already, such as of a file; else a new one is made. */
    secret?: string;
  },
): Promise<{ row: ApiKey; secret: string }> {
  const secret = wish.secret ?? newSecret('rk');
  const row = await tx.apiKey.create({
    data: {
      id: newId('apiKey'),
      name: wish.name,
      role: wish.role,
      environmentId: wish.environmentId,
      createdBy: wish.createdBy,
      expiresAt: wish.expiresAt ?? null,
      prefix: visiblePrefix(secret),
      keyHash: hashSecret(secret),
    },
  });
  await recordEvents(tx, [
    {
      environmentId: row.environmentId,
      regarding: { kind: 'ApiKey', id: row.id, name: row.name },
      type: 'Normal',
      reason: 'ApiKeyCreated',
      message: `API key ${row.name} (${row.prefix}) of role ${row.role} was created`,
    },
  ]);
  return { row, secret };
}
