import type { RegistrationToken } from '@rancher/db';
import { DomainError } from '@rancher/domain';

/**
 * Whether a host could join with it now.
 * @throws DomainError `unauthenticated` (unknown), `token_revoked`, `token_spent`, `token_expired`
 */
export function assertUsable(row: RegistrationToken | null): asserts row is RegistrationToken {
  if (row === null) throw new DomainError('unauthenticated', 'The registration token is unknown.');
  if (row.revokedAt !== null) {
    throw new DomainError(
      'token_revoked',
      `The registration token was revoked at ${row.revokedAt.toISOString()}.`,
    );
  }
  if (row.uses >= row.maxUses) {
    throw new DomainError(
      'token_spent',
      `The registration token was used up: ${row.uses} of ${row.maxUses}.`,
    );
  }
  if (row.expiresAt.getTime() <= Date.now()) {
    throw new DomainError(
      'token_expired',
      `The registration token expired at ${row.expiresAt.toISOString()}.`,
    );
  }
}
