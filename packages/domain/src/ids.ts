import { createHash, randomBytes } from 'node:crypto';

/** Visible prefixes, so that an id says what it is of. */
export const idPrefixes = {
  environment: 'env',
  host: 'host',
  stack: 'stack',
  service: 'svc',
  instance: 'ins',
  etcdMember: 'etm',
  plan: 'plan',
  operation: 'op',
  apiKey: 'key',
  registrationToken: 'token',
} as const;
export type IdKind = keyof typeof idPrefixes;

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';

function encode(bytes: Uint8Array): string {
  let out = '';
  for (const b of bytes) out += alphabet[b & 31];
  return out;
}

/** A new random id: 16 characters of Crockford's base 32, 80 bits. */
export function newId(kind: IdKind): string {
  return `${idPrefixes[kind]}_${encode(randomBytes(16))}`;
}

/** The same id for the same parts: the planner makes its ids with this, so that the same input gives the same plan. */
export function derivedId(kind: IdKind, ...parts: (string | number)[]): string {
  return `${idPrefixes[kind]}_${encode(createHash('sha256').update(parts.join('\n')).digest().subarray(0, 16))}`;
}
