import type { SecretFileSpec } from '@rancher/domain';
import { writeFileIfChanged } from '../files.ts';
import type { Ask } from './certificates.ts';
import type { Ledger } from './ledger.ts';

/** Makes a secret file be there: keeps the one that was delivered under that name, else asks the server for it. */
export async function ensureSecret(
  instanceId: string,
  spec: SecretFileSpec,
  ledger: Ledger,
  ask: Ask,
): Promise<void> {
  const purpose = `secret:${spec.secret}`;
  const kept = ledger.intact(spec.path, purpose);
  const content =
    kept ?? (await ask<{ content: string }>({ method: 'secret', instanceId, path: spec.path })).content;
  writeFileIfChanged(spec.path, content, spec.mode);
  ledger.remember(spec.path, purpose, content);
}
