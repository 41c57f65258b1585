import { createHash, createPrivateKey, createPublicKey, webcrypto, X509Certificate } from 'node:crypto';
import 'reflect-metadata'; // @peculiar/x509 needs it, and before itself
import * as x509 from '@peculiar/x509';
import { generateKeyPair } from './keys.ts';

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const dayMs = 86_400_000;
/** Validity starts this much earlier, since the clocks of hosts differ. */
const backdateMs = 5 * 60_000;
export const authorityYears = 10;
export const leafDays = 365;

/** A certificate authority: what is stored, as JSON, in a secret of an environment. */
export interface Authority {
  certificatePem: string;
  privateKeyPem: string;
}

export interface CertificateRequest {
  /** SubjectPublicKeyInfo of P-256, PEM. */
  publicKeyPem: string;
  commonName: string;
  organizations?: readonly string[];
  dnsNames?: readonly string[];
  ipAddresses?: readonly string[];
  usages: readonly ('server' | 'client')[];
  /** Days from now; 365 unless told. Never longer than the authority itself. */
  days?: number;
}

/** A self-signed authority on a new key, valid for `years` (10 unless told), which may sign leaves only. */
export async function createAuthority(params: { commonName: string; years?: number }): Promise<Authority> {
  const { publicKeyPem, privateKeyPem } = generateKeyPair();
  const [signingKey, publicKey] = await Promise.all([
    importPrivate(privateKeyPem),
    importPublic(publicKeyPem),
  ]);
  const now = Date.now();
  const certificate = await x509.X509CertificateGenerator.create(
    {
      subject: nameOf(params.commonName, []),
      issuer: nameOf(params.commonName, []),
      serialNumber: randomSerial(),
      notBefore: new Date(now - backdateMs),
      notAfter: new Date(now + (params.years ?? authorityYears) * 365 * dayMs),
      signingAlgorithm: algorithm,
      publicKey,
      signingKey,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(
          x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign | x509.KeyUsageFlags.digitalSignature,
          true,
        ),
        new x509.SubjectKeyIdentifierExtension(keyIdentifier(publicKeyPem)),
      ],
    },
    webcrypto,
  );
  return { certificatePem: `${certificate.toString('pem')}\n`, privateKeyPem };
}

/**
 * Signs a leaf for a public key. `notAfter` is cut to the authority's own.
 * @throws when the public key is not a P-256 SPKI PEM, or the authority cannot be read.
 */
export async function issueCertificate(
  authority: Authority,
  request: CertificateRequest,
): Promise<{ certificatePem: string; notAfter: Date }> {
  const issuer = await loadIssuer(authority);
  const now = Date.now();
  const notAfter = new Date(Math.min(now + (request.days ?? leafDays) * dayMs, issuer.notAfter.getTime()));
  notAfter.setMilliseconds(0);
  const certificate = await x509.X509CertificateGenerator.create(
    {
      subject: nameOf(request.commonName, request.organizations ?? []),
      issuer: issuer.subject,
      serialNumber: randomSerial(),
      notBefore: new Date(now - backdateMs),
      notAfter,
      signingAlgorithm: algorithm,
      publicKey: await importPublic(request.publicKeyPem),
      signingKey: issuer.signingKey,
      extensions: leafExtensions(request, issuer.keyIdentifier),
    },
    webcrypto,
  );
  return { certificatePem: `${certificate.toString('pem')}\n`, notAfter };
}

/** Hex SHA-256 of a certificate's DER: what a registration token carries to pin the server. */
export function certificateSha256(pem: string): string {
  return createHash('sha256').update(new X509Certificate(pem).raw).digest('hex');
}

/** The public half (SPKI PEM) of a private key in PEM. */
export function publicKeyOf(privateKeyPem: string): string {
  return createPublicKey(createPrivateKey(privateKeyPem)).export({ type: 'spki', format: 'pem' }) as string;
}

function leafExtensions(request: CertificateRequest, authorityKeyIdentifier: string): x509.Extension[] {
  const names = [
    ...(request.dnsNames ?? []).map((value) => ({ type: 'dns', value }) as const),
    ...(request.ipAddresses ?? []).map((value) => ({ type: 'ip', value }) as const),
  ];
  const usages = request.usages.map((u) =>
    u === 'server' ? x509.ExtendedKeyUsage.serverAuth : x509.ExtendedKeyUsage.clientAuth,
  );
  return [
    new x509.BasicConstraintsExtension(false, undefined, true),
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
    new x509.ExtendedKeyUsageExtension(usages),
    new x509.SubjectKeyIdentifierExtension(keyIdentifier(request.publicKeyPem)),
    new x509.AuthorityKeyIdentifierExtension(authorityKeyIdentifier),
    ...(names.length > 0 ? [new x509.SubjectAlternativeNameExtension(names)] : []),
  ];
}

interface Issuer {
  subject: x509.Name;
  signingKey: webcrypto.CryptoKey;
  keyIdentifier: string;
  notAfter: Date;
}

/** Reading an authority costs more than signing with it, and the same few sign everything. */
const issuers = new Map<string, Promise<Issuer>>();
const issuersKept = 1000;

function loadIssuer(authority: Authority): Promise<Issuer> {
  const id = createHash('sha256')
    .update(authority.certificatePem)
    .update('\0')
    .update(authority.privateKeyPem)
    .digest('hex');
  const known = issuers.get(id);
  if (known !== undefined) return known;
  const loading = readIssuer(authority);
  if (issuers.size >= issuersKept) issuers.delete(issuers.keys().next().value as string);
  issuers.set(id, loading);
  loading.catch(() => issuers.delete(id));
  return loading;
}

async function readIssuer(authority: Authority): Promise<Issuer> {
  const certificate = new x509.X509Certificate(authority.certificatePem);
  return {
    subject: certificate.subjectName,
    signingKey: await importPrivate(authority.privateKeyPem),
    keyIdentifier: keyIdentifier(publicKeyOf(authority.privateKeyPem)),
    notAfter: certificate.notAfter,
  };
}

/** Method 1 of RFC 7093: the leftmost 160 bits of the SHA-256 of the key. */
function keyIdentifier(publicKeyPem: string): string {
  const spki = createPublicKey(publicKeyPem).export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(spki).digest('hex').slice(0, 40);
}

/** Organizations come first: they are Kubernetes' groups; the common name is its user. */
function nameOf(commonName: string, organizations: readonly string[]): x509.Name {
  return new x509.Name([...organizations.map((o) => ({ O: [o] })), { CN: [commonName] }]);
}

/** 127 random bits, positive and never zero (RFC 5280, 4.1.2.2). */
function randomSerial(): string {
  const bytes = webcrypto.getRandomValues(new Uint8Array(16));
  bytes[0] = (bytes[0]! & 0x7f) | 0x40;
  return Buffer.from(bytes).toString('hex');
}

function importPrivate(pem: string): Promise<webcrypto.CryptoKey> {
  const der = createPrivateKey(pem).export({ type: 'pkcs8', format: 'der' });
  return webcrypto.subtle.importKey('pkcs8', der, algorithm, false, ['sign']);
}

function importPublic(pem: string): Promise<webcrypto.CryptoKey> {
  const der = createPublicKey(pem).export({ type: 'spki', format: 'der' });
  return webcrypto.subtle.importKey('spki', der, algorithm, true, ['verify']);
}
