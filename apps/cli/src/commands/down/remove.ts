import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** Longest mount point first, so that what is mounted inside goes before what it is inside of. */
function mountsBelow(folder: string): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) =>
      (line.split(' ')[4] ?? '').replace(/\\(\d{3})/g, (_, code: string) =>
        String.fromCharCode(Number.parseInt(code, 8)),
      ),
    )
    .filter((point) => point === folder || point.startsWith(`${folder}/`))
    .sort((a, b) => b.length - a.length);
}

/** Processes of an installation: those that were given its RANCHER_HOME; never this one. */
function processesOf(home: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => {
      try {
        const environment = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
        return environment.some((v) => v.startsWith(`RANCHER_KEPT_AS=${home}/`));
      } catch {
        return false;
      }
    })
    .map(Number);
}

/**
 * Removes the folder of an installation: kills what is left of its kept processes, unmounts what is left below it, and
 * deletes it. The caller has made sure that the folder is an installation's.
 */
export async function removeFiles(home: string): Promise<string> {
  for (const pid of processesOf(home)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // ended by itself
    }
  }
  for (const mount of mountsBelow(home)) spawnSync('umount', ['-l', mount]);
  for (let attempt = 1; ; attempt++) {
    try {
      // What was just killed may still write a last file.
      rmSync(home, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
      return `${home} is removed`;
    } catch (error) {
      if (attempt === 5) throw error;
      await sleep(200);
    }
  }
}
