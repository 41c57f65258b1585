import { existsSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { unavailable } from '../errors.ts';
import { hashFile } from '../manifest.ts';
import { artifactId, nodeArtifact, type Release } from '../versions.ts';
import type { Source } from './source.ts';

/** What the server itself was built of: `dist/programs`, made by `scripts/build.ts`, and the Node that runs this. */
export function installationSource(programs: () => string = programsDir): Source {
  return {
    name: 'installation',
    async fetch({ release, dir, report }) {
      const file = release.files[0]!;
      const path = release.name === nodeArtifact().name ? await ownNode(release) : join(programs(), file);
      report.step('install', `copying ${path}`);
      await copyFile(path, join(dir, file)).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error;
        throw unavailable(`${path} is missing: build it with ./rancher or \`node scripts/build.ts\``);
      });
      if (release.name !== nodeArtifact().name) await checkVersion(release, join(dir, file));
      return {};
    },
  };
}

async function ownNode(release: Release): Promise<string> {
  const own = nodeArtifact().version;
  if (release.version !== own) throw unavailable(`the server runs on Node ${own}`);
  return process.execPath;
}

/** A version ends in the first digits of the file's SHA-256 (`scripts/build.ts`). */
async function checkVersion(release: Release, path: string): Promise<void> {
  const { sha256 } = await hashFile(path);
  const digits = release.version.split('-').at(-1)!;
  if (digits.length < 12 || !sha256.startsWith(digits)) {
    throw unavailable(
      `this installation holds another build than ${artifactId(release)}: ${sha256.slice(0, 12)}`,
    );
  }
}

/** Found by walking up, as this file may be bundled into an app's `dist`. */
function programsDir(): string {
  for (let dir = import.meta.dirname; ; dir = dirname(dir)) {
    if (existsSync(join(dir, 'dist/programs'))) return join(dir, 'dist/programs');
    if (dir === dirname(dir)) throw unavailable('our own programs (dist/programs) are not built');
  }
}
