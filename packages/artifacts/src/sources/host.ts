import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { unavailable } from '../errors.ts';
import { canInstallPackages, findProgram, installPackages } from '../programs.ts';
import type { Reporter } from '../progress.ts';
import { run } from '../run.ts';
import type { Source } from './source.ts';

/** Programs that tell their version otherwise than by --version. */
const versionFlags: Record<string, string> = { haproxy: '-v' };

/**
 * The distribution's own program, where the release allows it; installed first where we may. Recorded with the version
 * that it says it has.
 */
export function hostSource(): Source {
  return {
    name: 'host',
    async fetch({ release, dir, report }) {
      const program = release.hostProgram;
      if (program === undefined) throw unavailable('the host has no program that could stand in');
      const path = await findOrInstall(program, report);
      const { code, stdout } = await run(path, [versionFlags[program] ?? '--version']);
      const version = /version (\S+)/.exec(stdout)?.[1];
      if (code !== 0 || version === undefined) throw unavailable(`${path} does not tell its version`);
      report.step('install', `copying ${path} ${version}, which stands in for ${release.version}`);
      await copyFile(path, join(dir, release.files[0]!));
      return { actualVersion: version };
    },
  };
}

/** The program's package has its name, on every distribution that we know. */
async function findOrInstall(program: string, report: Reporter): Promise<string> {
  const found = await findProgram(program);
  if (found !== null) return found;
  if (await canInstallPackages()) {
    report.step('install', `installing the distribution's ${program}`);
    await installPackages([program]);
  }
  const installed = await findProgram(program);
  if (installed === null) throw unavailable(`${program} is not installed on this host: install its package`);
  return installed;
}
