import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { parseAuthority, resolveSecretFile } from '@rancher/components';
import type { CertificateSpec, InstanceSpec } from '@rancher/domain';
import { generateKeyPair, issueCertificate } from '@rancher/pki';

/** Writes everything that a spec needs on disk, as an agent and its server would: folders, files, secrets, certificates. */
export async function materialize(spec: InstanceSpec, secrets: Map<string, string>): Promise<void> {
  for (const { path, mode } of spec.directories) mkdirSync(path, { recursive: true, mode });
  for (const { path, mode, content } of spec.files) write(path, mode, content);
  for (const { path, mode, secret } of spec.secrets) write(path, mode, resolveSecretFile(secret, secrets));
  for (const certificate of spec.certificates) await issue(certificate, secrets);
}

/** Makes a key, has it signed by the environment's authority, and writes all three files. */
export async function issue(spec: CertificateSpec, secrets: Map<string, string>): Promise<void> {
  const authority = parseAuthority(resolveSecretFile(`ca/${spec.authority}`, secrets));
  const { publicKeyPem, privateKeyPem } = generateKeyPair();
  const { certificatePem } = await issueCertificate(authority, { ...spec, publicKeyPem });
  write(spec.keyPath, 0o600, privateKeyPem);
  write(spec.certPath, 0o644, certificatePem);
  write(spec.caPath, 0o644, authority.certificatePem);
}

function write(path: string, mode: number, content: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content, { mode });
}
