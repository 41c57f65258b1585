import { randomBytes } from 'node:crypto';
import { authorityNames } from '@rancher/domain';
import { type Authority, createAuthority, generateKeyPair, publicKeyOf } from '@rancher/pki';
import { yaml } from './shared/yaml.ts';

/** A secret of an environment: made once, stored sealed. */
export interface SecretDefinition {
  name: string;
  generate(): Promise<string> | string;
}

/** Every secret that an environment needs. `ca/<name>` is the JSON of an {@link Authority}. */
export const secretDefinitions: SecretDefinition[] = [
  ...authorityNames.map((name) => ({
    name: `ca/${name}`,
    generate: async () => JSON.stringify(await createAuthority({ commonName: name })),
  })),
  { name: 'service-account.key', generate: () => generateKeyPair().privateKeyPem },
  { name: 'encryption-config', generate: encryptionConfig },
];

/** Content of a file that a `SecretFileSpec` names → from which secret, and how. */
const derived: Record<string, { from: string; content(secret: string): string }> = {
  'service-account.pub': { from: 'service-account.key', content: publicKeyOf },
  ...Object.fromEntries(
    authorityNames.flatMap((name) => [
      [`ca/${name}.key`, { from: `ca/${name}`, content: (s: string) => parseAuthority(s).privateKeyPem }],
      [`ca/${name}.crt`, { from: `ca/${name}`, content: (s: string) => parseAuthority(s).certificatePem }],
    ]),
  ),
};

/**
 * Content of the file that `SecretFileSpec.secret` names: a secret as it is, or a part of one (`ca/kubernetes.key`,
 * `ca/kubernetes.crt`, `service-account.pub`).
 * @throws when the environment lacks that secret. The message names it, never its content.
 */
export function resolveSecretFile(name: string, secrets: ReadonlyMap<string, string>): string {
  const rule = derived[name];
  const secret = secrets.get(rule?.from ?? name);
  if (secret === undefined) throw new Error(`the environment has no secret ${name}`);
  return rule === undefined ? secret : rule.content(secret);
}

/** The authority in a secret `ca/<name>`. */
export function parseAuthority(secret: string): Authority {
  return JSON.parse(secret) as Authority;
}

/** Secrets are encrypted in etcd with XSalsa20-Poly1305; what was written before stays readable. */
function encryptionConfig(): string {
  return yaml({
    apiVersion: 'apiserver.config.k8s.io/v1',
    kind: 'EncryptionConfiguration',
    resources: [
      {
        resources: ['secrets'],
        providers: [
          { secretbox: { keys: [{ name: 'key1', secret: randomBytes(32).toString('base64') }] } },
          { identity: {} },
        ],
      },
    ],
  });
}
