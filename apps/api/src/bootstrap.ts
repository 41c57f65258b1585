import { randomBytes } from 'node:crypto';
import { chmod, link, mkdir, readFile, rename, unlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { PrismaClient } from '@rancher/db';
import { hashSecret, newSecret } from './auth/keys.ts';
import type { KeyRole } from './auth/principal.ts';
import { createApiKeyRow } from './intent/api-keys.ts';
import { createRegistrationToken } from './intent/registration-tokens.ts';

const masterKeyBytes = 32;
/** The agent of this machine is started right after the server; a day is for whoever starts it by hand. */
const machineTokenSeconds = 86_400;

export interface BootstrapOptions {
  home: string;
  masterKeyFile: string;
  systemKeyFile: string;
}

/**
 * The master key: 64 hex digits in a file of mode 0600, made on the first start. Losing it loses every secret that was
 * sealed under it.
 * @throws Error when the file holds something else
 */
export async function loadMasterKey(file: string): Promise<Buffer> {
  const text = await readOrCreate(file, () => randomBytes(masterKeyBytes).toString('hex'));
  const key = Buffer.from(text, 'hex');
  if (key.length !== masterKeyBytes)
    throw new Error(`${file} does not hold a master key: 64 hex digits are expected`);
  return key;
}

/** Makes what a first start needs, and mends what is missing on a later one: keys with their files, the machine's token. */
export async function bootstrap(prisma: PrismaClient, options: BootstrapOptions): Promise<void> {
  await ensureKey(prisma, join(options.home, 'admin.key'), 'admin', 'admin');
  await ensureKey(prisma, options.systemKeyFile, 'system', 'system');
  await ensureMachineToken(prisma, join(options.home, 'machine.token'));
}

/** A file's key is the one that counts: whoever can read the file has it already. */
async function ensureKey(prisma: PrismaClient, file: string, name: string, role: KeyRole): Promise<void> {
  const secret = await readOrCreate(file, () => newSecret('rk'));
  const known = await prisma.apiKey.findUnique({ where: { keyHash: hashSecret(secret) } });
  if (known !== null) return;
  await prisma
    .$transaction((tx) => createApiKeyRow(tx, { name, role, environmentId: null, createdBy: null, secret }))
    .catch((error: { code?: string }) => {
      if (error.code !== 'P2002') throw error; // another replica with the same file was first
    });
}

/** A token for the agent of this machine, as long as that has not joined. */
async function ensureMachineToken(prisma: PrismaClient, file: string): Promise<void> {
  const token = await readFile(file, 'utf8').catch(() => undefined);
  if (token !== undefined) {
    const row = await prisma.registrationToken.findUnique({ where: { tokenHash: hashSecret(token.trim()) } });
    const usable =
      row !== null &&
      row.revokedAt === null &&
      row.uses < row.maxUses &&
      row.expiresAt.getTime() > Date.now();
    if (usable) return;
    const joined =
      row?.hostId != null && (await prisma.host.count({ where: { id: row.hostId, removedAt: null } })) > 0;
    if (joined) return;
  }
  const made = await prisma.$transaction((tx) =>
    createRegistrationToken(tx, {
      environmentId: null,
      description: 'the agent of the machine that the server runs on',
      maxUses: 1,
      expiresInSeconds: machineTokenSeconds,
    }),
  );
  await writeFile(`${file}.new`, `${made.token}\n`, { mode: 0o600 });
  await rename(`${file}.new`, file);
}

/** The content of a file, made when there is none. Of several processes that make it at once, the first one counts. */
async function readOrCreate(file: string, make: () => string): Promise<string> {
  const read = async () => (await readFile(file, 'utf8')).trim();
  try {
    return await read();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const temporary = `${file}.${randomBytes(4).toString('hex')}`;
  await writeFile(temporary, `${make()}\n`, { mode: 0o600 });
  await chmod(temporary, 0o600);
  try {
    await link(temporary, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    await unlink(temporary);
  }
  return read();
}
