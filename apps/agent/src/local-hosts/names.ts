import { createHash } from 'node:crypto';
import { join, resolve } from 'node:path';

/**
 * Everything that an installation makes on the machine carries its id in its name; so several live side by side, and
 * what is left of one is found even when its files are gone.
 */
export function installationId(home: string): string {
  return createHash('sha256').update(resolve(home)).digest('hex').slice(0, 8);
}

/** 15 characters: the longest that the kernel takes for an interface. */
export const bridgeName = (home: string) => `rancher${installationId(home)}`;
export const nftTable = (home: string) => `rancher_${installationId(home)}`;
export const installationCgroup = (home: string) => `/rancher-${installationId(home)}`;
export const netnsPrefix = (home: string) => `rancher-${installationId(home)}-`;
export const vethPrefix = (home: string) => `rv${installationId(home)}-`;

/** A bridge without an own address takes that of a port, and changes it when ports come and go. */
export function bridgeMac(home: string): string {
  const id = installationId(home);
  return `02:72:${id.match(/../g)!.join(':')}`;
}

export const networkFile = (home: string) => join(home, 'network.json');
export const recordsFile = (home: string) => join(home, 'local-hosts.json');
export const hostsDir = (home: string) => join(home, 'hosts');
