/** The root file systems that images are made from where no registry can be reached: Debian's own packages. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { must } from './installation.ts';

const debianMirror = 'http://deb.debian.org/debian';

/** What the official image of the same name has not, nor needs (debuerreotype, slim variant). */
const unneeded = [
  'var/cache/apt',
  'var/lib/apt/lists',
  ...['doc', 'info', 'locale', 'man'].map((name) => `usr/share/${name}`),
];

/**
 * A tar of the smallest Debian 12 with `packages` besides, made once for them and kept in the folder `cache`.
 * Needs Debian's `debootstrap`. Throws an Error with what debootstrap said.
 */
export async function debianArchive(cache: string, packages: readonly string[] = []): Promise<string> {
  const recipe = createHash('sha256')
    .update([...unneeded, ...packages].join())
    .digest('hex')
    .slice(0, 8);
  const archive = join(cache, `debian-bookworm-${recipe}.tar`);
  if (existsSync(archive)) return archive;
  await mkdir(cache, { recursive: true });
  const work = await mkdtemp(join(cache, 'debootstrap-'));
  try {
    const include = ['ca-certificates', ...packages].join(',');
    await must('nice', [
      '-n',
      '10',
      'debootstrap',
      '--variant=minbase',
      `--include=${include}`,
      'bookworm',
      join(work, 'root'),
      debianMirror,
    ]);
    for (const folder of unneeded) await must('sh', ['-c', 'rm -rf "$0"/*', join(work, 'root', folder)]);
    await must('tar', ['-C', join(work, 'root'), '-cf', join(work, 'root.tar'), '.']);
    await rename(join(work, 'root.tar'), archive);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return archive;
}
