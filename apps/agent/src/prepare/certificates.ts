import { generateKeyPair, X509Certificate } from 'node:crypto';
import { promisify } from 'node:util';
import type { AgentRequest, SignedCertificate } from '@rancher/contracts';
import { type CertificateSpec, contentHash } from '@rancher/domain';
import { writeFileIfChanged } from '../files.ts';
import type { Ledger } from './ledger.ts';

const makeKeyPair = promisify(generateKeyPair);

export type Ask = <T>(request: AgentRequest) => Promise<T>;

export interface HeldCertificate {
  path: string;
  notAfter: string;
}

/** The rule of renewal: at two thirds of its life. */
export function isDue(notBefore: Date, notAfter: Date, now: Date): boolean {
  return now.getTime() >= notBefore.getTime() + ((notAfter.getTime() - notBefore.getTime()) * 2) / 3;
}

/**
 * Makes the host hold a certificate of that description: keeps the one it has while it is the same and not due, else
 * makes a key here and has its public half signed. A due one that nobody signs anew is kept while it is valid.
 * @throws Error when there is none and the server does not sign.
 */
export async function ensureCertificate(
  instanceId: string,
  spec: CertificateSpec,
  ledger: Ledger,
  ask: Ask,
  now = new Date(),
): Promise<HeldCertificate> {
  const held = intactCertificate(spec, ledger);
  if (held !== undefined && !isDue(held.validFromDate, held.validToDate, now)) return asHeld(spec, held);
  try {
    return await renew(instanceId, spec, ledger, ask);
  } catch (error) {
    if (held !== undefined && held.validToDate > now) return asHeld(spec, held);
    throw error;
  }
}

async function renew(
  instanceId: string,
  spec: CertificateSpec,
  ledger: Ledger,
  ask: Ask,
): Promise<HeldCertificate> {
  const { publicKey, privateKey } = await makeKeyPair('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  const signed = await ask<SignedCertificate>({
    method: 'signCertificate',
    instanceId,
    certPath: spec.certPath,
    publicKeyPem: publicKey,
  });
  const purpose = contentHash(spec);
  write(spec.keyPath, privateKey, 0o600, purpose);
  write(spec.certPath, signed.certificatePem, 0o644, purpose);
  // Two certificates of one authority may share this file.
  write(spec.caPath, signed.caPem, 0o644, spec.authority);
  return { path: spec.certPath, notAfter: signed.notAfter };

  function write(path: string, content: string, mode: number, reason: string): void {
    writeFileIfChanged(path, content, mode);
    ledger.remember(path, reason, content);
  }
}

function intactCertificate(spec: CertificateSpec, ledger: Ledger): X509Certificate | undefined {
  const purpose = contentHash(spec);
  const certificate = ledger.intact(spec.certPath, purpose);
  if (certificate === undefined || ledger.intact(spec.keyPath, purpose) === undefined) return undefined;
  if (ledger.intact(spec.caPath, spec.authority) === undefined) return undefined;
  return new X509Certificate(certificate);
}

function asHeld(spec: CertificateSpec, certificate: X509Certificate): HeldCertificate {
  return { path: spec.certPath, notAfter: certificate.validToDate.toISOString() };
}
