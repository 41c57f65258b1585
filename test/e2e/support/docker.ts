import { execFile, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { access, mkdir, mkdtemp, readdir, readFile, rm, rmdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { debianArchive } from './debian.ts';
import { ensurePackages } from './packages.ts';

const exec = promisify(execFile);

/** The repository. */
export const root = join(import.meta.dirname, '../../..');

/** A dockerd of the test's own: it touches no iptables rule and no other dockerd of this machine. */
export interface Docker {
  /** Runs the docker CLI against it. Throws an Error with what it said. Gives its standard output. */
  docker(...args: string[]): Promise<string>;
  /** Runs docker-compose on the repository's docker-compose.yml. */
  compose(env: Record<string, string>, ...args: string[]): Promise<string>;
  stop(): Promise<void>;
}

/**
 * Starts dockerd with its images in `dataRoot` (kept between runs, one dockerd at a time) and everything else in a
 * temporary folder. `project` names the containers.
 */
export async function startDocker(dataRoot: string, project: string): Promise<Docker> {
  // Of Debian, as they are what can be had on every machine that runs these tests.
  await ensurePackages(['docker.io', 'docker-compose', 'debootstrap']);
  await mkdir(dataRoot, { recursive: true });
  const folder = await mkdtemp(join(tmpdir(), 'rancher-docker-'));
  const host = `unix://${folder}/docker.sock`;
  const cgroup = `rancher-${project}`;
  // The lock is the process's own and goes with it; a second run on this cache waits.
  const args = ['--no-fork', `${dataRoot}.lock`, 'dockerd', '--host', host, '--data-root', dataRoot];
  args.push('--exec-root', join(folder, 'exec'), '--pidfile', join(folder, 'docker.pid'));
  args.push('--bridge=none', '--iptables=false', '--ip6tables=false', '--ip-masq=false');
  args.push('--cgroup-parent', `/${cgroup}`, '--default-address-pool', 'base=10.213.0.0/16,size=24');
  const log = createWriteStream(join(folder, 'dockerd.log'));
  const daemon = spawn('flock', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  daemon.stdout.pipe(log);
  daemon.stderr.pipe(log);

  const docker = (...command: string[]) => told('/usr/bin/docker', ['--host', host, ...command]);
  await untilItAnswers(docker, daemon, folder);
  await removeLeftovers(docker);
  const files = ['docker-compose.yml', 'test/e2e/compose/local.yml'].flatMap((file) => [
    '-f',
    join(root, file),
  ]);
  return {
    docker,
    compose: (env, ...command) =>
      told('/usr/bin/docker-compose', ['-p', project, '--project-directory', root, ...files, ...command], {
        env: { ...process.env, DOCKER_HOST: host, DOCKER_BUILDKIT: '0', ...env },
      }),
    async stop() {
      const ended = once(daemon, 'exit');
      if (daemon.exitCode === null && daemon.kill('SIGTERM')) await ended;
      await removeCgroups(cgroup);
      await unmountBelow(folder);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function untilItAnswers(
  docker: Docker['docker'],
  daemon: ReturnType<typeof spawn>,
  folder: string,
): Promise<void> {
  for (;;) {
    const answer = await docker('version').catch((error: unknown) => error);
    if (typeof answer === 'string') return;
    if (daemon.exitCode !== null) {
      const { stdout } = await exec('tail', ['-n', '5', join(folder, 'dockerd.log')]);
      throw new Error(`dockerd ended with ${daemon.exitCode}: ${stdout}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** What a run that was killed left in the data root, which is the tests' own; and builds older than a week. */
async function removeLeftovers(docker: Docker['docker']): Promise<void> {
  const containers = (await docker('ps', '--all', '--quiet')).split('\n').filter((id) => id !== '');
  if (containers.length > 0) await docker('rm', '--force', ...containers);
  await docker('network', 'prune', '--force');
  await docker('volume', 'prune', '--force');
  await docker('image', 'prune', '--force', '--filter', 'until=168h');
}

/** Runs a program; its output goes into the error where it fails. */
export function told(command: string, args: string[], options: SpawnOptions = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    let out = '';
    let all = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      out += text;
      all += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      all += text;
    });
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve(out);
      else reject(new Error(`${command} ${args.join(' ')} ended with ${code}: ${all.slice(-4000)}`));
    });
  });
}

const debianImage = 'debian:bookworm-slim';

/**
 * Sees to it that `docker build` finds Debian's image: pulled where the registry can be reached, else made here under the
 * same name from Debian's packages. What is there already is kept. `cache` holds what takes long to make.
 */
export async function ensureDebianImage({ docker }: Pick<Docker, 'docker'>, cache: string): Promise<void> {
  const there = await docker('image', 'inspect', debianImage).catch(() => null);
  if (there !== null) return;
  if (await registryAnswers()) await docker('pull', debianImage);
  else await docker('import', await debianArchive(cache), debianImage);
}

/** Whether images can be pulled. */
export async function registryAnswers(): Promise<boolean> {
  return fetch('https://registry-1.docker.io/v2/', { signal: AbortSignal.timeout(3_000) }).then(
    () => true,
    () => false,
  );
}

/** dockerd leaves the network namespace of `network_mode: host` mounted. */
async function unmountBelow(folder: string): Promise<void> {
  const mounts = (await readFile('/proc/self/mounts', 'utf8'))
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '');
  const below = mounts.filter((path) => path.startsWith(`${folder}/`)).reverse();
  for (const path of below) await exec('umount', [path]);
}

/** cgroup v1 keeps the parent that containers were put in, in each controller. */
async function removeCgroups(name: string): Promise<void> {
  const controllers = await readdir('/sys/fs/cgroup').catch(() => []);
  for (const dir of ['', ...controllers].map((c) => join('/sys/fs/cgroup', c, name))) {
    await access(dir).then(
      () => rmdir(dir).catch(() => undefined),
      () => undefined,
    );
  }
}
