import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { unavailable } from '../errors.ts';
import { artifactId } from '../versions.ts';
import { recipesDir } from './build.ts';
import type { Source } from './source.ts';

/** A script of the recipe that does the same as the program, only slower, on hosts that have what runs it. */
export function scriptSource(): Source {
  return {
    name: 'script',
    async fetch({ release, dir, report }) {
      if (release.script === undefined) throw unavailable('no script could stand in for it');
      report.step('install', `the script ${release.script} stands in for the program`);
      await copyFile(join(recipesDir(), artifactId(release), release.script), join(dir, release.files[0]!));
      return {};
    },
  };
}
