/** Disks with a whole Debian on them, its kernel and its init system: what a user's own machine has. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { chmod, copyFile, cp, mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Docker, ensureDebianImage, root as repository, startDocker } from '../docker.ts';
import { must } from '../installation.ts';
import { ensurePackages } from '../packages.ts';

export type InitSystem = 'systemd' | 'openrc';

export interface Disk {
  /** ext4, without partitions. */
  image: string;
  kernel: string;
  initrd: string;
  /** Private key that root of the machine lets in over SSH. */
  key: string;
}

const agentImage = { name: 'rancher-agent', folder: join(repository, 'deploy/agent') };
const debianMirror = 'http://deb.debian.org/debian';
const firstProcess = join(import.meta.dirname, 'first-process.sh');
const diskSize = '8G';

/** What every machine has; what a host needs of it is said in docs/joining.md. */
const packages = ['linux-image-cloud-amd64', 'initramfs-tools', 'ifupdown', 'openssh-server'];
const neededByHost = ['iproute2', 'nftables', 'curl', 'ca-certificates', 'kmod', 'procps'];
const packagesOf: Record<InitSystem, string[]> = {
  // With Docker, for hosts that are containers.
  systemd: ['systemd-sysv', 'docker.io', 'iptables'],
  openrc: ['sysvinit-core', 'openrc'],
};

const imageFiles = () => readdirSync(agentImage.folder).map((name) => join(agentImage.folder, name));

/** The image of the agent, as `docker build` makes it of deploy/agent, among Docker's images of the machine. */
async function putAgentImage(dataRoot: string, work: string, cache: string): Promise<void> {
  const archive = join(work, 'agent.tar');
  await withDocker(join(cache, 'docker'), async (engine) => {
    await ensureDebianImage(engine, cache);
    await engine.docker('build', '--network', 'host', '--tag', agentImage.name, agentImage.folder);
    await engine.docker('save', '--output', archive, agentImage.name);
  });
  await withDocker(dataRoot, (engine) => engine.docker('load', '--input', archive));
  await rm(`${dataRoot}.lock`);
  await rm(archive);
}

async function withDocker(dataRoot: string, use: (engine: Docker) => Promise<unknown>): Promise<void> {
  const engine = await startDocker(dataRoot, `agent-${process.pid}`);
  try {
    await use(engine);
  } finally {
    await engine.stop();
  }
}

/** The disk of a machine with that init system: made once, kept in the folder `cache`, and never written to. */
export async function ensureDisk(init: InitSystem, cache: string): Promise<Disk> {
  await ensurePackages(['debootstrap', 'e2fsprogs', 'openssh-client']);
  const hash = createHash('sha256').update(await readFile(import.meta.filename));
  for (const file of [firstProcess, ...imageFiles()]) hash.update(await readFile(file));
  const folder = join(cache, `debian-bookworm-${init}-${hash.digest('hex').slice(0, 8)}`);
  if (!existsSync(folder)) {
    await mkdir(cache, { recursive: true });
    const work = await mkdtemp(join(cache, 'disk-'));
    try {
      await make(init, work, cache);
      await rename(work, folder);
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  }
  const files = ['disk.img', 'vmlinuz', 'initrd.img', 'key'].map((name) => join(folder, name));
  return { image: files[0]!, kernel: files[1]!, initrd: files[2]!, key: files[3]! };
}

async function make(init: InitSystem, work: string, cache: string): Promise<void> {
  const root = join(work, 'root');
  await must('nice', ['debootstrap', '--variant=minbase', 'bookworm', root, debianMirror]);
  await cp('/etc/resolv.conf', join(root, 'etc/resolv.conf'), { dereference: true });
  await mkdir(join(root, 'root/.ssh'), { mode: 0o700 });
  await must('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(work, 'key')]);
  await copyFile(join(work, 'key.pub'), join(root, 'root/.ssh/authorized_keys'));
  await copyFile(firstProcess, join(root, 'sbin/first-process'));
  await chmod(join(root, 'sbin/first-process'), 0o755);
  const install = ['apt-get', 'install', '-y', '-qq', '--no-install-recommends'];
  const all = [...packages, ...neededByHost, ...packagesOf[init]];
  const env = { DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C', PATH: process.env.PATH ?? '' };
  await must('nice', ['chroot', root, 'apt-get', 'update', '-qq'], { env });
  await must('nice', ['chroot', root, ...install, ...all], { env, timeoutMs: 900_000 });
  await must('chroot', [root, 'apt-get', 'clean']);
  if (packagesOf[init].includes('docker.io')) await putAgentImage(join(root, 'var/lib/docker'), work, cache);
  for (const name of ['vmlinuz', 'initrd.img']) {
    const file = readdirSync(join(root, 'boot')).find((each) => each.startsWith(`${name}-`));
    if (file === undefined) throw new Error(`the kernel's package has no ${name}`);
    await copyFile(join(root, 'boot', file), join(work, name));
  }
  await must('mke2fs', ['-q', '-t', 'ext4', '-d', root, '-F', join(work, 'disk.img'), diskSize]);
  await rm(root, { recursive: true });
}
