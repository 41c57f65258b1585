import { createPublicKey, X509Certificate } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { parseAuthority, resolveSecretFile, secretDefinitions } from './secrets.ts';

const secrets = new Map<string, string>();
beforeAll(async () => {
  for (const { name, generate } of secretDefinitions) secrets.set(name, await generate());
});

describe('secrets of an environment', () => {
  it('are these', () => {
    expect([...secrets.keys()]).toEqual([
      'ca/kubernetes',
      'ca/etcd',
      'ca/front-proxy',
      'service-account.key',
      'encryption-config',
    ]);
  });

  it('hold an authority of their own for each trust', () => {
    const keys = ['kubernetes', 'etcd', 'front-proxy'].map((name) => {
      const { certificatePem } = parseAuthority(secrets.get(`ca/${name}`) ?? '');
      const certificate = new X509Certificate(certificatePem);
      expect(certificate.subject).toBe(`CN=${name}`);
      expect(certificate.ca).toBe(true);
      return certificate.serialNumber;
    });
    expect(new Set(keys).size).toBe(3);
  });

  it('give the parts that files name', () => {
    const certificate = new X509Certificate(resolveSecretFile('ca/kubernetes.crt', secrets));
    const publicKey = createPublicKey(resolveSecretFile('ca/kubernetes.key', secrets));
    expect(certificate.publicKey.equals(publicKey)).toBe(true);
    expect(resolveSecretFile('service-account.pub', secrets)).toContain('BEGIN PUBLIC KEY');
    expect(resolveSecretFile('service-account.key', secrets)).toContain('BEGIN PRIVATE KEY');
  });

  it('encrypt Secrets in etcd with a key of 32 bytes', () => {
    const config = parse(resolveSecretFile('encryption-config', secrets));
    const [{ resources, providers }] = config.resources;
    expect(resources).toEqual(['secrets']);
    expect(Buffer.from(providers[0].secretbox.keys[0].secret, 'base64')).toHaveLength(32);
  });

  it('are missed by name', () => {
    expect(() => resolveSecretFile('ca/etcd.key', new Map())).toThrow('no secret ca/etcd.key');
  });
});
