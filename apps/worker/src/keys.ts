import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { PrismaClient } from '@rancher/db';
import { type Authority, openSecret } from '@rancher/pki';

/** The master key: 64 hex digits in a file, which the API makes at its first start. */
export async function masterKeyFrom(file: string): Promise<Buffer> {
  const key = Buffer.from((await readFile(file, 'utf8')).trim(), 'hex');
  if (key.length !== 32) throw new Error(`${file} does not hold 64 hex digits`);
  return key;
}

const freshMs = 5_000;

/** The API key in a file, read again now and then, as the API makes it and a user may exchange it. */
export function keyFile(file: string): () => string {
  let read = { key: '', at: Number.NEGATIVE_INFINITY };
  return () => {
    if (performance.now() - read.at > freshMs) {
      read = { key: readFileSync(file, 'utf8').trim(), at: performance.now() };
    }
    return read.key;
  };
}

/** PEM of the installation's own authority, which vouches for every API replica. */
export async function serverAuthority(prisma: PrismaClient, masterKey: Buffer): Promise<string> {
  const row = await prisma.setting.findUnique({ where: { name: 'server-authority' } });
  if (row?.ciphertext == null) throw new Error('the API has not made its authority yet');
  return (JSON.parse(openSecret(masterKey, row.ciphertext).toString()) as Authority).certificatePem;
}
