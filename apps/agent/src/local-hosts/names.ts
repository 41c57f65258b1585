import { createHash } from 'node:crypto';
import { join, resolve } from 'node:path';

/**
 * Everything that an installation makes on the machine carries its id in its name; so several live side by side, and
 * what is left of one is found even when its files are gone.
 */
export function installationId(home: string): string {
  return createHash('sha256').update(resolve(home)).digest('hex').slice(0, 8);
}

/** 15 characters: the longest that the kernel takes for an interface. `index` is the network's; 0 is the first. */
export const bridgeName = (home: string, index = 0) =>
  index === 0 ? `rancher${installationId(home)}` : `${otherBridges(home)}${index}`;
const otherBridges = (home: string) => `rn${installationId(home)}-`;

/** Whether an interface of the machine is a bridge of the installation. */
export function isBridgeOf(home: string, name: string): boolean {
  return name === bridgeName(home) || name.startsWith(otherBridges(home));
}

/** Tells the hosts of one installation apart, in at most four characters: a letter for all networks but the first. */
export function hostSuffix(address: string, index: number): string {
  return `${index === 0 ? '' : String.fromCharCode(96 + index)}${address.split('.').at(-1)}`;
}
/** As many letters as there are. */
export const mostNetworks = 27;

export const nftTable = (home: string) => `rancher_${installationId(home)}`;
export const installationCgroup = (home: string) => `/rancher-${installationId(home)}`;
export const netnsPrefix = (home: string) => `rancher-${installationId(home)}-`;
export const vethPrefix = (home: string) => `rv${installationId(home)}-`;

/** A bridge without an own address takes that of a port, and changes it when ports come and go. */
export function bridgeMac(home: string, index = 0): string {
  const id = installationId(home);
  return `02:${(0x72 + index).toString(16)}:${id.match(/../g)!.join(':')}`;
}

export const networkFile = (home: string) => join(home, 'network.json');
export const recordsFile = (home: string) => join(home, 'local-hosts.json');
export const hostsDir = (home: string) => join(home, 'hosts');
