/**
 * An image for workloads, made here, since no registry need be reachable: Debian's static busybox as a docker-archive,
 * imported into the containerd of each host.
 */

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Installation, run } from './installation.ts';

export const busyboxImage = 'docker.io/rancher-test/busybox:1';

const applets = [
  'sh',
  'sleep',
  'cat',
  'timeout',
  'wget',
  'nslookup',
  'httpd',
  'nc',
  'echo',
  'hostname',
  'ls',
  'date',
  'seq',
  'ip',
];

async function must(command: string, args: string[]): Promise<void> {
  const result = await run(command, args);
  if (result.code !== 0) throw new Error(`${command} ${args.join(' ')}: ${result.stderr}`);
}

async function sha256(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

/** Writes the docker-archive (image spec v1.2) to `file`. Needs Debian's `busybox-static` at /bin/busybox. */
async function makeBusyboxArchive(file: string): Promise<void> {
  const work = await mkdtemp(join(tmpdir(), 'rancher-image-'));
  try {
    await mkdir(join(work, 'rootfs/bin'), { recursive: true });
    await mkdir(join(work, 'rootfs/tmp'), { recursive: true });
    await must('cp', ['/bin/busybox', join(work, 'rootfs/bin/busybox')]);
    for (const applet of applets) await must('ln', ['-s', 'busybox', join(work, 'rootfs/bin', applet)]);
    await must('tar', [
      '--owner=0',
      '--group=0',
      '--mtime=@0',
      '--sort=name',
      '-C',
      join(work, 'rootfs'),
      '-cf',
      join(work, 'layer.tar'),
      '.',
    ]);
    const config = JSON.stringify({
      architecture: 'amd64',
      os: 'linux',
      config: { Env: ['PATH=/bin'], Cmd: ['/bin/sh'] },
      rootfs: { type: 'layers', diff_ids: [`sha256:${await sha256(join(work, 'layer.tar'))}`] },
    });
    const configName = `${createHash('sha256').update(config).digest('hex')}.json`;
    await writeFile(join(work, configName), config);
    await writeFile(
      join(work, 'manifest.json'),
      JSON.stringify([{ Config: configName, RepoTags: [busyboxImage], Layers: ['layer.tar'] }]),
    );
    await must('tar', ['-C', work, '-cf', file, 'manifest.json', configName, 'layer.tar']);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Imports the busybox image into every host of an environment. */
export async function loadBusybox(installation: Installation, environment = 'default'): Promise<void> {
  const archive = join(installation.home, 'busybox.tar');
  await makeBusyboxArchive(archive);
  const cache = process.env.RANCHER_CACHE ?? join(homedir(), '.cache/rancher');
  for (const instance of await installation.instances(environment)) {
    if (instance.component !== 'containerd') continue;
    const socket = `/proc/${instance.pid}/root/run/containerd/containerd.sock`;
    await must(`${cache}/artifacts/containerd-2.3.7/ctr`, [
      '-a',
      socket,
      '-n',
      'k8s.io',
      'images',
      'import',
      archive,
    ]);
  }
}
