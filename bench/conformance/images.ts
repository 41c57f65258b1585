/**
 * The images that the suite's specs name, made here under those names. Programs of Kubernetes' own (agnhost, nonewprivs,
 * sample-apiserver) are built from its Go modules; what else is in them is Debian's in place of Alpine's or Docker's.
 */
import { chmod, cp, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { debianArchive } from '../../test/e2e/support/debian.ts';
import {
  busyboxLayer,
  type Image,
  makeLayer,
  onEachContainerd,
  writeArchive,
} from '../../test/e2e/support/images.ts';
import { type Installation, must } from '../../test/e2e/support/installation.ts';

const tests = 'registry.k8s.io/e2e-test-images';
const path = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** What agnhost's Dockerfile and those of the other images add to their base, by the names that Debian has for it. */
const packages = [
  'bash-static',
  'bind9-dnsutils',
  'curl',
  'iperf',
  'iproute2',
  'iptables',
  'netcat-openbsd',
  'nginx-light',
  'procps',
  'socat',
];

/** What the images are made of, besides Debian. */
export interface Programs {
  agnhost: string;
  nonewprivs: string;
  sampleApiserver: string;
  coredns: string;
  etcd: string;
  /** Folder of the sources of `k8s.io/kubernetes`, for the files that go into its images. */
  sources: string;
}

/**
 * All images in one archive, for the version of the suite. `work` holds what is made on the way; `cache` the Debian.
 * What stands in: busybox is Debian's static one, with bash for its shell, as Debian's drops variables of the environment
 * whose names are no names in a shell; nginx is Debian's, for both tags; glibc-dns-testing and nonroot are
 * Debian with the same tools; sample-apiserver is that of this release in place of an older one; etcd is the one that
 * the environment runs. pause is the image of our own that every sandbox has.
 */
export async function makeImages(work: string, cache: string, programs: Programs): Promise<string> {
  const debian = await debianArchive(cache, packages);
  const layer = (name: string, fill: (folder: string) => Promise<void>) =>
    makeLayer(join(work, `${name}.tar`), fill);
  const agnhost = [debian, await agnhostLayer(work, debian, programs)];
  const animal = async (name: string): Promise<Image> => ({
    names: [`${tests}/${name}:1.8`],
    layers: [
      ...agnhost,
      await layer(name, async (folder) => {
        const html = join(programs.sources, 'test/images', name, 'html');
        for (const file of ['data.json', `${name}.jpg`]) await cp(join(html, file), join(folder, file));
      }),
    ],
    config: { Env: [path], Entrypoint: ['/agnhost'], Cmd: ['test-webserver'] },
  });
  const images: Image[] = [
    {
      names: [`${tests}/agnhost:2.66.1`, `${tests}/agnhost:2.55`],
      layers: agnhost,
      config: { Env: [path], Entrypoint: ['/agnhost'], Cmd: ['pause'] },
    },
    await animal('kitten'),
    await animal('nautilus'),
    {
      names: [`${tests}/busybox:1.37.0-2`],
      layers: [
        await busyboxLayer(join(work, 'busybox.tar')),
        await layer('shell', (folder) =>
          fromArchive(debian, './usr/bin/bash-static', join(folder, 'bin/sh')),
        ),
      ],
      config: { Env: ['PATH=/bin'], Cmd: ['sh'] },
    },
    {
      names: [`${tests}/nginx:1.27.0-2`, `${tests}/nginx:1.28.0-2`],
      layers: [debian],
      config: { Env: [path], Cmd: ['nginx', '-g', 'daemon off;'] },
    },
    {
      names: [`${tests}/nonewprivs:1.4`],
      layers: [
        debian,
        await layer('nonewprivs', (folder) =>
          program(folder, 'usr/local/bin/nnp', programs.nonewprivs, 0o6755),
        ),
      ],
      config: { Env: [path], Cmd: ['nnp'] },
    },
    { names: [`${tests}/nonroot:1.5`], layers: [debian], config: { Env: [path], User: '1234' } },
    {
      names: [`${tests}/glibc-dns-testing:2.1.1`],
      layers: [debian, await layer('coredns', (folder) => program(folder, 'coredns', programs.coredns))],
      config: { Env: [path] },
    },
    {
      names: [`${tests}/sample-apiserver:1.29.2`],
      layers: [
        debian,
        await layer('sample-apiserver', (folder) =>
          program(folder, 'sample-apiserver', programs.sampleApiserver),
        ),
      ],
      config: { Env: [path], Entrypoint: ['/sample-apiserver'] },
    },
    {
      names: ['registry.k8s.io/etcd:3.7.0-0'],
      layers: [debian, await layer('etcd', (folder) => program(folder, 'usr/local/bin/etcd', programs.etcd))],
      config: { Env: [path] },
    },
  ];
  const archive = join(work, 'images.tar');
  await writeArchive(archive, images);
  return archive;
}

/** Imports the archive into each host of an environment, and names the sandboxes' image as the specs do. */
export async function loadImages(rancher: Installation, environment: string, archive: string): Promise<void> {
  await onEachContainerd(rancher, environment, ['images', 'import', '--local', archive]);
  const pause = ['localhost/rancher/pause:1', 'registry.k8s.io/pause:3.10.2'];
  await onEachContainerd(rancher, environment, ['images', 'tag', '--force', ...pause]);
}

async function program(folder: string, to: string, from: string, mode = 0o755): Promise<void> {
  await mkdir(dirname(join(folder, to)), { recursive: true });
  await cp(from, join(folder, to));
  await chmod(join(folder, to), mode);
}

/** A program out of an archive. */
async function fromArchive(archive: string, file: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  await must('sh', ['-ec', 'tar -xOf "$1" "$2" >"$3"; chmod 755 "$3"', 'sh', archive, file, to]);
}

/** As test/images/agnhost/Dockerfile has it, but for the images of its fake registry. */
async function agnhostLayer(work: string, debian: string, programs: Programs): Promise<string> {
  const read = (file: string) => must('tar', ['-xOf', debian, `./etc/${file}`]);
  const [users, groups] = await Promise.all([read('passwd'), read('group')]);
  return makeLayer(join(work, 'agnhost.tar'), async (folder) => {
    await program(folder, 'agnhost', programs.agnhost);
    await program(folder, 'coredns', programs.coredns);
    await must('ln', ['-s', 'agnhost', join(folder, 'agnhost-2')]);
    for (const file of ['localhost.crt', 'localhost.key'])
      await cp(join(programs.sources, 'test/images/agnhost/porter', file), join(folder, file));
    for (const sub of ['uploads', 'etc', 'home/user-defined-in-image'])
      await mkdir(join(folder, sub), { recursive: true });
    const name = 'user-defined-in-image';
    const user = `${name}:x:1000:1000:${name}:/home/${name}:/bin/sh\n`;
    await writeFile(join(folder, 'etc/passwd'), users + user);
    await writeFile(
      join(folder, 'etc/group'),
      `${groups}${name}:x:1000:\ngroup-defined-in-image:x:50000:${name}\n`,
    );
  });
}
