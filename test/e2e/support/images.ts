/**
 * Images for workloads, made here, since no registry need be reachable: docker-archives (image spec v1.2) of layers from
 * Debian's packages and our own builds, imported into the containerd of each host.
 */

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { sharedCacheDir } from '@rancher/artifacts';
import { hostPaths } from '@rancher/domain';
import { type Installation, must } from './installation.ts';

export const busyboxImage = 'docker.io/rancher-test/busybox:1';

export interface Image {
  names: string[];
  /** Tar files, the lowest layer first. Images of one archive share those that they have in common. */
  layers: string[];
  /** What a container of it runs, in the words of the image spec. */
  config: { Entrypoint?: string[]; Cmd?: string[]; Env?: string[]; User?: string; WorkingDir?: string };
}

async function sha256(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

/** Makes a layer, the tar `file`, of what `fill` puts into the folder that it is given; all of it owned by root. */
export async function makeLayer(file: string, fill: (folder: string) => Promise<void>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'rancher-layer-'));
  try {
    // The folder's own mode becomes that of `/`.
    await chmod(folder, 0o755);
    await fill(folder);
    const options = ['--owner=0', '--group=0', '--mtime=@0', '--sort=name'];
    await must('tar', [...options, '-C', folder, '-cf', file, '.']);
    return file;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Writes one docker-archive of several images. */
export async function writeArchive(file: string, images: readonly Image[]): Promise<void> {
  const work = await mkdtemp(join(tmpdir(), 'rancher-image-'));
  try {
    const digests = new Map<string, string>();
    for (const layer of new Set(images.flatMap((image) => image.layers))) {
      const digest = await sha256(layer);
      digests.set(layer, digest);
      await symlink(resolve(layer), join(work, `${digest}.tar`));
    }
    const manifest = [];
    for (const image of images) {
      const layers = image.layers.map((layer) => digests.get(layer)!);
      const config = JSON.stringify({
        architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
        os: 'linux',
        config: image.config,
        rootfs: { type: 'layers', diff_ids: layers.map((digest) => `sha256:${digest}`) },
      });
      const name = `${createHash('sha256').update(config).digest('hex')}.json`;
      await writeFile(join(work, name), config);
      manifest.push({ Config: name, RepoTags: image.names, Layers: layers.map((digest) => `${digest}.tar`) });
    }
    await writeFile(join(work, 'manifest.json'), JSON.stringify(manifest));
    await must('tar', ['--dereference', '-C', work, '-cf', file, '.']);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Runs `ctr` in the namespace of Kubernetes against the containerd of each host of an environment. */
export async function onEachContainerd(
  installation: Installation,
  environment: string,
  args: string[],
): Promise<void> {
  const cache = sharedCacheDir();
  for (const instance of await installation.instances(environment)) {
    if (instance.component !== 'containerd') continue;
    const socket = `/proc/${instance.pid}/root${hostPaths.containerdSocket}`;
    const ctr = `${cache}/artifacts/containerd-2.3.7/ctr`;
    await must(ctr, ['-a', socket, '-n', 'k8s.io', ...args], { timeoutMs: 900_000 });
  }
}

/** A layer of Debian's static busybox (package `busybox-static`), with a link for each applet. */
export async function busyboxLayer(file: string): Promise<string> {
  const applets = (await must('/bin/busybox', ['--list'])).split('\n').filter((name) => name !== '');
  return makeLayer(file, async (folder) => {
    for (const sub of ['bin', 'etc', 'tmp']) await mkdir(join(folder, sub));
    await chmod(join(folder, 'tmp'), 0o1777);
    await must('cp', ['/bin/busybox', join(folder, 'bin/busybox')]);
    for (const name of applets) if (name !== 'busybox') await symlink('busybox', join(folder, 'bin', name));
    await writeFile(
      join(folder, 'etc/passwd'),
      'root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n',
    );
    await writeFile(join(folder, 'etc/group'), 'root:x:0:\nnogroup:x:65534:\n');
  });
}

/** Imports a small busybox image, `busyboxImage`, into every host of an environment. */
export async function loadBusybox(installation: Installation, environment = 'default'): Promise<void> {
  const layer = await busyboxLayer(join(installation.home, 'busybox-layer.tar'));
  const archive = join(installation.home, 'busybox.tar');
  await writeArchive(archive, [
    { names: [busyboxImage], layers: [layer], config: { Env: ['PATH=/bin'], Cmd: ['/bin/sh'] } },
  ]);
  await onEachContainerd(installation, environment, ['images', 'import', archive]);
}
