import { secretDefinitions } from '@rancher/components';
import type { PrismaClient } from '@rancher/db';
import { sealSecret } from '@rancher/pki';

/**
 * Makes the environment's secrets that are missing, sealed under the master key. Of two that make one at the same time
 * the first to write counts; what is there is never changed.
 */
export async function ensureSecrets(
  prisma: PrismaClient,
  masterKey: Buffer,
  environment: { id: string },
  present: readonly string[],
): Promise<void> {
  const missing = secretDefinitions.filter((d) => !present.includes(d.name));
  if (missing.length === 0) return;
  const data = await Promise.all(
    missing.map(async (d) => ({
      environmentId: environment.id,
      name: d.name,
      ciphertext: Uint8Array.from(sealSecret(masterKey, await d.generate())),
    })),
  );
  await prisma.environmentSecret.createMany({ data, skipDuplicates: true });
}
