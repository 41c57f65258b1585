import { copyFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
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
      await copyFile(path, join(dir, release.bundled ?? release.files[0]!));
      if (release.bundled === undefined) return { actualVersion: version };
      const more = await bundle(path, release.bundled, join(dir, release.files[0]!));
      return { actualVersion: version, more };
    },
  };
}

/**
 * Puts what a program is linked with beside it, the dynamic linker and the C library too, and a launcher that uses those:
 * other machines need to have none of them, nor the same versions. Gives the names of what it copied.
 */
async function bundle(path: string, program: string, launcher: string): Promise<string[]> {
  const dir = join(launcher, '..');
  const { code, stdout } = await run('ldd', [path]);
  if (code !== 0) throw unavailable(`ldd cannot tell what ${path} is linked with`);
  const { linker, libraries } = parseLdd(stdout);
  for (const library of [linker, ...libraries]) await copyFile(library, join(dir, basename(library)));
  await writeFile(launcher, launcherText(basename(linker), program));
  return [linker, ...libraries].map((library) => basename(library));
}

/** Reads the output of ldd(1). @throws DomainError `artifact_unavailable` naming a library that is not there */
export function parseLdd(text: string): { linker: string; libraries: string[] } {
  const missing = /^\s*(\S+) => not found$/m.exec(text)?.[1];
  if (missing !== undefined) throw unavailable(`the library ${missing} is not on this host`);
  const libraries = [...text.matchAll(/ => (\/\S+)/g)].map((match) => match[1]!);
  const linker = /^\s*(\/\S+) \(/m.exec(text)?.[1];
  if (linker === undefined) throw unavailable('ldd names no dynamic linker');
  return { linker, libraries };
}

const launcherText = (linker: string, program: string) => `#!/bin/sh
# Starts the program with the libraries that came with it, wherever this folder is.
here=\${0%/*}
exec "$here/${linker}" --library-path "$here" "$here/${program}" "$@"
`;

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
