import { X509Certificate } from 'node:crypto';
import { chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { PrismaClient } from '@rancher/db';
import {
  type Authority,
  certificateSha256,
  createAuthority,
  generateKeyPair,
  issueCertificate,
  openSecret,
  sealSecret,
} from '@rancher/pki';

/** What the TLS side of the port is served with. */
export interface ServerTls {
  caPem: string;
  /** Hex SHA-256 of the CA's DER: what registration tokens' commands carry. */
  caSha256: string;
  certificatePem: string;
  privateKeyPem: string;
}

const settingName = 'server-authority';
const years = 10;
const leafDays = 365;

/**
 * The server's own authority and certificate. The authority is one for the installation (sealed in table Setting, so
 * that replicas share it); each replica issues itself a certificate for the names it is reached by, kept in
 * `$home/tls/` and made again at two thirds of its life or when the names change.
 */
export async function loadServerTls(
  prisma: PrismaClient,
  options: { masterKey: Buffer; home: string; names: string[] },
): Promise<ServerTls> {
  const authority = await loadAuthority(prisma, options.masterKey);
  const dir = join(options.home, 'tls');
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const names = [...new Set([...options.names, 'localhost', '127.0.0.1', '::1', hostname()])].filter(
    (name) => name !== '0.0.0.0' && name !== '::',
  );
  const kept = await readKept(dir, authority, names);
  const leaf = kept ?? (await issue(authority, names));
  if (kept === undefined) {
    await writeAtomic(join(dir, 'server.key'), leaf.privateKeyPem, 0o600);
    await writeAtomic(join(dir, 'server.pem'), leaf.certificatePem, 0o644);
  }
  await writeAtomic(join(dir, 'ca.pem'), authority.certificatePem, 0o644);
  return { caPem: authority.certificatePem, caSha256: certificateSha256(authority.certificatePem), ...leaf };
}

async function loadAuthority(prisma: PrismaClient, masterKey: Buffer): Promise<Authority> {
  const read = async () => {
    const row = await prisma.setting.findUnique({ where: { name: settingName } });
    return row?.ciphertext == null
      ? undefined
      : (JSON.parse(openSecret(masterKey, row.ciphertext).toString()) as Authority);
  };
  const known = await read();
  if (known !== undefined) return known;
  const made = await createAuthority({ commonName: 'rancher-server', years });
  const ciphertext = Uint8Array.from(sealSecret(masterKey, JSON.stringify(made)));
  // Of several replicas that start at once, the first to write is the one whose authority counts.
  await prisma.setting.createMany({ data: [{ name: settingName, ciphertext }], skipDuplicates: true });
  return (await read())!;
}

async function issue(authority: Authority, names: string[]) {
  const keys = generateKeyPair();
  const { certificatePem } = await issueCertificate(authority, {
    publicKeyPem: keys.publicKeyPem,
    commonName: 'rancher-server',
    dnsNames: names.filter((name) => isIP(name) === 0),
    ipAddresses: names.filter((name) => isIP(name) !== 0),
    usages: ['server'],
    days: leafDays,
  });
  return { certificatePem, privateKeyPem: keys.privateKeyPem };
}

async function readKept(dir: string, authority: Authority, names: string[]) {
  try {
    const certificatePem = await readFile(join(dir, 'server.pem'), 'utf8');
    const privateKeyPem = await readFile(join(dir, 'server.key'), 'utf8');
    const certificate = new X509Certificate(certificatePem);
    const from = certificate.validFromDate.getTime();
    const renewAt = from + ((certificate.validToDate.getTime() - from) * 2) / 3;
    const ours = certificate.verify(new X509Certificate(authority.certificatePem).publicKey);
    const covers = names.every((name) =>
      isIP(name) === 0 ? certificate.checkHost(name) : certificate.checkIP(name),
    );
    return ours && covers && Date.now() < renewAt ? { certificatePem, privateKeyPem } : undefined;
  } catch {
    return undefined; // none yet, or not readable: a new one is made
  }
}

async function writeAtomic(path: string, content: string, mode: number): Promise<void> {
  await writeFile(`${path}.new`, content, { mode });
  await chmod(`${path}.new`, mode);
  await rename(`${path}.new`, path);
}
