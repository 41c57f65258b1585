import { createHash, randomBytes } from 'node:crypto';

const alphabet = 'abcdefghijklmnopqrstuvwxyz234567';

/**
 * Secrets that callers hold, by their visible prefix: `rk` an API key, `rh` a host's credential, `rt` a registration
 * token. 32 characters of base 32: 160 bits.
 */
export type SecretPrefix = 'rk' | 'rh' | 'rt';

export function newSecret(prefix: SecretPrefix): string {
  return `${prefix}_${Array.from(randomBytes(32), (b) => alphabet[b & 31]).join('')}`;
}

/** The visible prefix of what a caller sent. */
export function secretPrefix(secret: string): string {
  return secret.slice(0, secret.indexOf('_'));
}

/** What is stored of a secret. A plain hash suffices, as the secret itself is 160 random bits. */
export function hashSecret(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

/** The part of a key that may be shown, to tell keys apart. */
export function visiblePrefix(secret: string): string {
  return `${secret.slice(0, 7)}…`;
}
