import { type Queryable, type RegistrationToken, recordEvents } from '@rancher/db';
import { newId } from '@rancher/domain';
import { hashSecret, newSecret } from '../auth/keys.ts';

/** Writes a registration token; its secret is given here and nowhere again. */
export async function createRegistrationToken(
  tx: Queryable,
  wish: {
    environmentId: string | null;
    hostId?: string;
    description: string;
    maxUses: number;
    expiresInSeconds: number;
  },
): Promise<{ row: RegistrationToken; token: string }> {
  const token = newSecret('rt');
  const row = await tx.registrationToken.create({
    data: {
      id: newId('registrationToken'),
      environmentId: wish.environmentId,
      hostId: wish.hostId ?? null,
      description: wish.description,
      maxUses: wish.maxUses,
      expiresAt: new Date(Date.now() + wish.expiresInSeconds * 1000),
      tokenHash: hashSecret(token),
    },
  });
  await recordEvents(tx, [
    {
      environmentId: row.environmentId,
      ...(row.hostId === null ? {} : { hostId: row.hostId }),
      regarding: { kind: 'RegistrationToken', id: row.id },
      type: 'Normal',
      reason: 'RegistrationTokenCreated',
      message: `A registration token for ${row.maxUses} host(s) was made: ${row.description || 'no description'}`,
    },
  ]);
  return { row, token };
}
