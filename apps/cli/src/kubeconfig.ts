import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Client } from './client.ts';
import type { InstallationPaths } from './paths.ts';
import type { Environment } from './resources.ts';

/**
 * Writes an environment's kubeconfig where every command finds it, readable by its owner alone. It goes through the
 * server, as the caller's own rights are what counts in the cluster.
 */
export async function writeKubeconfig(
  client: Client,
  paths: InstallationPaths,
  environment: Environment,
): Promise<string> {
  const { kubeconfig } = await client.request<{ kubeconfig: string }>(
    'POST',
    `/v1/environments/${environment.id}/actions/generateKubeconfig`,
  );
  const file = paths.kubeconfig(environment.name);
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  writeFileSync(`${file}.new`, kubeconfig, { mode: 0o600 });
  renameSync(`${file}.new`, file);
  writeFileSync(`${file}.of`, environment.id);
  return file;
}

/** The kubeconfig file of an environment, written if it is missing or of an earlier environment of that name. */
export async function ensureKubeconfig(
  client: Client,
  paths: InstallationPaths,
  environment: Environment,
): Promise<string> {
  const file = paths.kubeconfig(environment.name);
  try {
    readFileSync(file);
    if (readFileSync(`${file}.of`, 'utf8') === environment.id) return file;
  } catch {
    // not there yet
  }
  return writeKubeconfig(client, paths, environment);
}
