import { homedir } from 'node:os';
import { join } from 'node:path';

/** The machine's cache of artifacts and images, where nothing else is configured: what one installation has, no other makes. */
export function sharedCacheDir(): string {
  return process.env.RANCHER_CACHE ?? join(homedir(), '.cache/rancher');
}
