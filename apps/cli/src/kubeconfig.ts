import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { type Environment, generateKubeconfig } from '@rancher/api-client';
import type { Context } from './context.ts';

/**
 * The kubeconfig file of an environment, where every command finds it, readable by its owner alone. Each one that the
 * server makes holds a key of its own, so a new one is made only where there is none, or that is of an earlier
 * environment of the name or of another address of the server; or when asked to by `renew`.
 */
export async function ensureKubeconfig(
  { client, settings }: Context,
  environment: Environment,
  options: { renew?: boolean } = {},
): Promise<string> {
  const file = settings.paths.kubeconfig(environment.name);
  const origin = `${environment.id} ${settings.config.advertise}\n`;
  if (options.renew !== true && readText(file) !== null && readText(`${file}.origin`) === origin) return file;
  const answer = generateKubeconfig({ client: client.api, path: { id: environment.id } });
  const { kubeconfig } = await client.call(answer);
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  writeFileSync(`${file}.new`, kubeconfig, { mode: 0o600 });
  renameSync(`${file}.new`, file);
  writeFileSync(`${file}.origin`, origin);
  return file;
}

function readText(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}
