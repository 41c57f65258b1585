import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

/** First byte of everything sealed: which cipher and layout follow. */
const formatVersion = 1;
const nonceBytes = 12;
const tagBytes = 16;

/**
 * Encrypts under the master key (32 bytes) with AES-256-GCM and a random nonce.
 * Layout: version (1), nonce (12), tag (16), ciphertext.
 */
export function sealSecret(masterKey: Buffer, plaintext: Buffer | string): Buffer {
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv('aes-256-gcm', checkedKey(masterKey), nonce);
  const body = Buffer.concat([cipher.update(plaintext as Buffer), cipher.final()]);
  return Buffer.concat([Buffer.of(formatVersion), nonce, cipher.getAuthTag(), body]);
}

/**
 * The plaintext of {@link sealSecret}.
 * @throws when the key is another, or a single bit was changed.
 */
export function openSecret(masterKey: Buffer, sealed: Uint8Array): Buffer {
  const bytes = Buffer.from(sealed);
  if (bytes.length < 1 + nonceBytes + tagBytes || bytes[0] !== formatVersion) {
    throw new Error('sealed secret: unknown format');
  }
  const nonce = bytes.subarray(1, 1 + nonceBytes);
  const tag = bytes.subarray(1 + nonceBytes, 1 + nonceBytes + tagBytes);
  const decipher = createDecipheriv('aes-256-gcm', checkedKey(masterKey), nonce);
  decipher.setAuthTag(tag);
  return Buffer.concat([decipher.update(bytes.subarray(1 + nonceBytes + tagBytes)), decipher.final()]);
}

function checkedKey(masterKey: Buffer): Buffer {
  if (masterKey.length !== 32)
    throw new Error(`the master key must be 32 bytes long, this one is ${masterKey.length}`);
  return masterKey;
}
