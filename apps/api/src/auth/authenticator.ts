import type { PrismaClient } from '@rancher/db';
import { DomainError } from '@rancher/domain';
import { databaseIsGone } from '../http/database-gone.ts';
import { hashSecret, secretPrefix } from './keys.ts';
import type { HostPrincipal, JoiningPrincipal, KeyPrincipal, KeyRole } from './principal.ts';
import { assertUsable } from './registration-token.ts';

/** How long a key that was looked up is believed: the time a revocation takes on other replicas, at most. */
const freshMs = 5_000;
/** How long one is believed while the database does not answer, so that kubectl works on. */
const staleMs = 10 * 60_000;
const cacheSize = 10_000;
/** `lastUsedAt` is written at most this often for each key. */
const lastUsedEveryMs = 60_000;

interface Cached {
  principal: KeyPrincipal;
  expiresAt: Date | null;
  at: number;
  touchedAt: number;
}

export interface Authenticator {
  /** @throws DomainError `unauthenticated`; or the database's error when it does not answer and the key is not known */
  key(authorization: string | undefined): Promise<KeyPrincipal>;
  host(authorization: string | undefined): Promise<HostPrincipal>;
  /** A host, or a machine with a registration token that could be used; no use of it is counted. */
  joining(authorization: string | undefined): Promise<HostPrincipal | JoiningPrincipal>;
  /** Forgets a key that was revoked. */
  forget(keyId: string): void;
}

export function createAuthenticator(prisma: PrismaClient, now: () => number = Date.now): Authenticator {
  const cache = new Map<string, Cached>();

  async function lookUp(hash: string): Promise<Cached | undefined> {
    const row = await prisma.apiKey.findUnique({ where: { keyHash: hash } });
    if (row === null || row.revokedAt !== null) {
      cache.delete(hash);
      return undefined;
    }
    const cached: Cached = {
      principal: {
        kind: 'key',
        id: row.id,
        name: row.name,
        role: row.role as KeyRole,
        environmentId: row.environmentId,
      },
      expiresAt: row.expiresAt,
      at: now(),
      touchedAt: row.lastUsedAt?.getTime() ?? 0,
    };
    cache.delete(hash);
    if (cache.size >= cacheSize) cache.delete(cache.keys().next().value as string);
    cache.set(hash, cached);
    return cached;
  }

  async function find(hash: string): Promise<Cached | undefined> {
    const known = cache.get(hash);
    if (known !== undefined && now() - known.at < freshMs) return known;
    try {
      return await lookUp(hash);
    } catch (error) {
      if (known !== undefined && now() - known.at < staleMs && databaseIsGone(error)) return known;
      throw error;
    }
  }

  function touch(cached: Cached): void {
    if (now() - cached.touchedAt < lastUsedEveryMs) return;
    cached.touchedAt = now();
    prisma.apiKey
      .updateMany({ where: { id: cached.principal.id }, data: { lastUsedAt: new Date(now()) } })
      .catch(() => {}); // for information only; the next use writes it
  }

  async function host(secret: string): Promise<HostPrincipal> {
    const row = await prisma.host.findUnique({
      where: { credentialHash: hashSecret(secret) },
      select: { id: true, environmentId: true, removedAt: true },
    });
    if (row === null || row.removedAt !== null)
      throw new DomainError('unauthenticated', "The host's credential is unknown.");
    return { kind: 'host', id: row.id, environmentId: row.environmentId };
  }

  return {
    async key(authorization) {
      const found = await find(hashSecret(bearer(authorization)));
      if (found === undefined || (found.expiresAt !== null && found.expiresAt.getTime() <= now())) {
        throw new DomainError('unauthenticated', 'The API key is unknown, expired or revoked.');
      }
      touch(found);
      return found.principal;
    },
    host: async (authorization) => host(bearer(authorization)),
    async joining(authorization) {
      const secret = bearer(authorization);
      if (secretPrefix(secret) !== 'rt') return host(secret);
      const row = await prisma.registrationToken.findUnique({ where: { tokenHash: hashSecret(secret) } });
      assertUsable(row);
      return { kind: 'joining', id: row.id };
    },
    forget(keyId) {
      for (const [hash, cached] of cache) if (cached.principal.id === keyId) cache.delete(hash);
    },
  };
}

function bearer(authorization: string | undefined): string {
  const match = /^Bearer ([^\s]{8,256})$/i.exec(authorization ?? '');
  if (match === null) {
    throw new DomainError('unauthenticated', 'Send "Authorization: Bearer <API key>".');
  }
  return match[1]!;
}
