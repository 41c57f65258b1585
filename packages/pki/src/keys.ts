import { generateKeyPairSync } from 'node:crypto';

export interface KeyPair {
  /** SubjectPublicKeyInfo, PEM. */
  publicKeyPem: string;
  /** PKCS #8, PEM: the one form that Go, Node and OpenSSL all read. */
  privateKeyPem: string;
}

/** A new key pair on P-256, the curve that Kubernetes and etcd use by default themselves. */
export function generateKeyPair(): KeyPair {
  const { publicKey, privateKey } = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  return { publicKeyPem: publicKey, privateKeyPem: privateKey };
}
