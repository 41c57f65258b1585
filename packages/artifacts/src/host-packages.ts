import { canInstallPackages, findProgram, installPackages } from './programs.ts';
import { createReporter, type OnProgress } from './progress.ts';

/** A program that the host must have, as we do not ship it. */
export interface MissingProgram {
  /** Name of the command. */
  name: string;
  /** What it is needed for, in words. */
  neededFor: string;
  /** What a user does about it, in words. */
  mend: string;
}

interface Requirement {
  name: string;
  neededFor: string;
  /** The package of Debian and Ubuntu. */
  debian: string;
  /** The package of other distributions, where it has another name. */
  elsewhere?: string;
}

const requirements: readonly Requirement[] = [
  { name: 'nft', debian: 'nftables', neededFor: 'kube-proxy and masquerading' },
  {
    name: 'ip',
    debian: 'iproute2',
    elsewhere: 'iproute2 or iproute',
    neededFor: 'the network of local hosts',
  },
  { name: 'nsenter', debian: 'util-linux', neededFor: 'entering local hosts' },
  { name: 'unshare', debian: 'util-linux', neededFor: 'making local hosts' },
  { name: 'mount', debian: 'mount', elsewhere: 'util-linux', neededFor: 'kubelet and local hosts' },
  { name: 'umount', debian: 'mount', elsewhere: 'util-linux', neededFor: 'kubelet and local hosts' },
  { name: 'tar', debian: 'tar', neededFor: 'unpacking official downloads' },
  { name: 'gzip', debian: 'gzip', neededFor: 'unpacking official downloads' },
];

/** Names the programs that this host lacks and what would mend each. Changes nothing. */
export async function checkHostPackages(): Promise<MissingProgram[]> {
  const missing = await missingRequirements();
  const debian = (await findProgram('apt-get')) !== null;
  return missing.map(({ name, neededFor, debian: pkg, elsewhere }) => ({
    name,
    neededFor,
    mend: debian ? `apt-get install ${pkg}` : `install the package ${elsewhere ?? pkg} of your distribution`,
  }));
}

/**
 * Installs what `checkHostPackages` names where this is Debian or Ubuntu and we are root; elsewhere changes nothing.
 * Gives what is still missing afterwards.
 */
export async function ensureHostPackages(onProgress?: OnProgress): Promise<MissingProgram[]> {
  const missing = await missingRequirements();
  if (missing.length === 0 || !(await canInstallPackages())) return checkHostPackages();
  const packages = [...new Set(missing.map((m) => m.debian))];
  const report = createReporter('host', onProgress);
  const total = packages.length;
  report.step('install', `installing ${packages.join(', ')}`, { total, unit: 'packages' });
  await installPackages(packages);
  const left = await checkHostPackages();
  const message =
    left.length === 0 ? `installed ${packages.join(', ')}` : `lacks ${left.map((m) => m.name).join(', ')}`;
  report.step('done', message, { done: total - left.length, total, unit: 'packages' });
  return left;
}

async function missingRequirements(): Promise<Requirement[]> {
  const paths = await Promise.all(requirements.map(({ name }) => findProgram(name)));
  return requirements.filter((_, i) => paths[i] === null);
}
