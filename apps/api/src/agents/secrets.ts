import { parseAuthority } from '@rancher/components';
import type { PrismaClient } from '@rancher/db';
import { type AuthorityName, DomainError } from '@rancher/domain';
import { type Authority, openSecret } from '@rancher/pki';

export interface EnvironmentSecrets {
  /** All secrets of an environment, opened. */
  all(environmentId: string): Promise<ReadonlyMap<string, string>>;
  /** @throws DomainError `environment_not_ready` while it has not been made yet */
  authority(environmentId: string, name: AuthorityName): Promise<Authority>;
  forget(environmentId: string): void;
}

/** Environments whose secrets are held open in memory at once. */
const kept = 200;

/** Opens the secrets of environments with the master key. They are made once and never change. */
export function createEnvironmentSecrets(prisma: PrismaClient, masterKey: Buffer): EnvironmentSecrets {
  const cache = new Map<string, Map<string, string>>();

  async function load(environmentId: string): Promise<Map<string, string>> {
    const rows = await prisma.environmentSecret.findMany({ where: { environmentId } });
    const secrets = new Map(rows.map((row) => [row.name, openSecret(masterKey, row.ciphertext).toString()]));
    if (secrets.size === 0) return secrets;
    if (cache.size >= kept) cache.delete(cache.keys().next().value as string);
    cache.set(environmentId, secrets);
    return secrets;
  }

  return {
    async all(environmentId) {
      return cache.get(environmentId) ?? load(environmentId);
    },
    async authority(environmentId, name) {
      const key = `ca/${name}`;
      const secret = (await this.all(environmentId)).get(key) ?? (await load(environmentId)).get(key);
      if (secret !== undefined) return parseAuthority(secret);
      throw new DomainError('environment_not_ready', `The environment has no authority ${name} yet.`);
    },
    forget: (environmentId) => void cache.delete(environmentId),
  };
}
