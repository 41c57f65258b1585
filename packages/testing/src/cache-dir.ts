import { homedir } from 'node:os';
import { join } from 'node:path';

/** The machine's shared cache of artifacts and images, so that a test compiles only what no test before it has. */
export function sharedCacheDir(): string {
  return process.env.RANCHER_CACHE ?? join(homedir(), '.cache/rancher');
}
