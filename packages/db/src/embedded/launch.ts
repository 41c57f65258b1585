import { type ChildProcess, spawn } from 'node:child_process';
import { chmod, chown, mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { linkLibraries, nativeFolder } from './binaries.ts';

/**
 * Postgres refuses to run as root. Under root it runs as `nobody`, so nothing is left on the machine's list of users. As
 * `nobody` may not pass through folders such as /root (mode 700), it gets a mount namespace of its own: an empty /tmp
 * where the binaries and the installation's folder are bound, opened before /tmp is covered in case they are below it.
 * Without root it runs as the user, with no namespace.
 */
const nobody = { uid: 65534, gid: 65534 };
const seen = { native: '/tmp/native', dir: '/tmp/postgres' };

const enterAsNobody = `
exec 3<"$1" 4<"$2"
shift 2
mount -t tmpfs -o mode=755,size=1m tmpfs /tmp
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mkdir ${seen.native} ${seen.dir}
mount --no-canonicalize --bind /proc/self/fd/3 ${seen.native}
mount --no-canonicalize --bind /proc/self/fd/4 ${seen.dir}
exec 3<&- 4<&-
cd /tmp
exec setpriv --reuid ${nobody.uid} --regid ${nobody.gid} --clear-groups --no-new-privs --inh-caps=-all "$@"
`;

export interface Launcher {
  /** The installation's folder, as Postgres sees it. */
  seenDir: string;
  /** Starts `bin/<program>`. It gets SIGINT (for Postgres: a fast, clean shutdown) when this process dies. */
  launch(program: 'initdb' | 'postgres', args: string[]): ChildProcess;
  /** Gives a file or folder to the user that Postgres runs as. */
  give(path: string): Promise<void>;
}

/** Prepares `dir` (made if missing) to run Postgres in. */
export async function prepareLauncher(dir: string): Promise<Launcher> {
  const root = process.getuid?.() === 0;
  const native = nativeFolder();
  const at = root ? seen : { native, dir };
  await mkdir(dir, { recursive: true });
  // Passed through by `nobody`, listed by root alone.
  await chmod(dir, 0o711);
  await linkLibraries(native, join(dir, 'lib'), at.native);
  return {
    seenDir: at.dir,
    launch(program, args) {
      const command = ['--pdeathsig', 'INT', join(at.native, 'bin', program), ...args];
      const argv = root
        ? [
            'unshare',
            '--mount',
            '--propagation',
            'private',
            'sh',
            '-ec',
            enterAsNobody,
            'sh',
            native,
            dir,
            ...command,
          ]
        : ['setpriv', ...command];
      return spawn(argv[0] as string, argv.slice(1), {
        // Its own session, so that a Ctrl-C at the terminal reaches it through us, in order.
        detached: true,
        stdio: ['ignore', 'ignore', 'pipe'],
        env: {
          LD_LIBRARY_PATH: `${join(at.dir, 'lib')}:${join(at.native, 'lib')}`,
          LC_ALL: 'C',
          PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
        },
      });
    },
    async give(path) {
      if (root) await chown(path, nobody.uid, nobody.gid);
      else await stat(path);
    },
  };
}
