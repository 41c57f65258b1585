/** Fields whose value is a secret, wherever they stand in what is logged. */
const fields = [
  'authorization',
  'cookie',
  'set-cookie',
  'token',
  'credential',
  'key',
  'secret',
  'password',
  'privateKeyPem',
  'ciphertext',
];

const rules: [RegExp, string][] = [
  // A field's value: text, a list of texts, or bytes.
  [
    new RegExp(
      `"(${fields.join('|')})":(?:"(?:[^"\\\\]|\\\\.)*"|\\[[^\\]]*\\]|\\{"type":"Buffer","data":\\[[^\\]]*\\]\\})`,
      'gi',
    ),
    '"$1":"[redacted]"',
  ],
  // In sentences: the password of a URL, an API key beyond its visible prefix, a private key.
  [/(:\/\/[^\s:/@"]*):[^\s/"]+@/g, '$1:[redacted]@'],
  [/\b(rk_[0-9a-z]{4})[0-9a-z]{12,}/gi, '$1[redacted]'],
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*-----END [A-Z ]*PRIVATE KEY-----/g, '[redacted]'],
];

/** Takes the secrets out of a line of JSON, at any depth of it. */
export function redact(line: string): string {
  return rules.reduce((text, [pattern, by]) => text.replace(pattern, by), line);
}
