import { run } from './installation.ts';

/** Installs those of Debian's `packages` that are missing on this machine. Throws an Error with what apt-get said. */
export async function ensurePackages(packages: readonly string[]): Promise<void> {
  const missing: string[] = [];
  for (const name of packages) {
    const { code } = await run('dpkg', ['-s', name]);
    if (code !== 0) missing.push(name);
  }
  if (missing.length === 0) return;
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  await run('apt-get', ['update', '-qq'], { env });
  const args = ['install', '-y', '-qq', '--no-install-recommends', ...missing];
  const { code, stderr } = await run('apt-get', args, { env });
  if (code !== 0) throw new Error(`apt-get ${args.join(' ')}: ${stderr}`);
}
