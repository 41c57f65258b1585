import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from './run.ts';

const searchPath = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/** The path of a program of this host, or null. sbin is looked at too, which a user's PATH often lacks. */
export async function findProgram(name: string): Promise<string | null> {
  for (const dir of searchPath) {
    const path = join(dir, name);
    const found = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (found) return path;
  }
  return null;
}

/** Whether packages can be installed here: Debian or Ubuntu, and we are root. */
export async function canInstallPackages(): Promise<boolean> {
  return process.getuid?.() === 0 && (await findProgram('apt-get')) !== null;
}

/** Installs packages of Debian or Ubuntu. Gives whether it succeeded. */
export async function installPackages(packages: readonly string[]): Promise<boolean> {
  const install = () => apt(['install', '-y', '--no-install-recommends', ...packages]);
  if (await install()) return true;
  // A fresh machine has no package lists yet.
  return (await apt(['update'])) && (await install());
}

async function apt(args: string[]): Promise<boolean> {
  const { code } = await run('apt-get', ['-q', ...args], { env: { DEBIAN_FRONTEND: 'noninteractive' } });
  return code === 0;
}
