import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The checkout that this CLI is part of: the closest folder above whose package.json is named `rancher`. */
export const root = findRoot(import.meta.dirname);

/** Whether this runs from `dist`, as the launcher does, or straight from the sources. */
export const bundled = /\/dist(\/|$)/.test(import.meta.dirname);

function findRoot(from: string): string {
  for (let at = from; at !== '/'; at = dirname(at)) {
    const file = join(at, 'package.json');
    if (existsSync(file) && JSON.parse(readFileSync(file, 'utf8')).name === 'rancher') return at;
  }
  throw new Error(`no package.json named "rancher" above ${from}`);
}

/** Where the files of one installation are. */
export function installationPaths(home: string) {
  return {
    home,
    settings: join(home, 'config.json'),
    run: join(home, 'run'),
    logs: join(home, 'log'),
    lock: join(home, 'run', 'lock'),
    adminKey: join(home, 'admin.key'),
    ca: join(home, 'tls', 'ca.pem'),
    environment: (name: string) => join(home, 'environments', name),
    kubeconfig: (name: string) => join(home, 'environments', name, 'kubeconfig'),
  };
}
export type InstallationPaths = ReturnType<typeof installationPaths>;
