import { join } from 'node:path';
import { corrupt, describe, unavailable } from '../errors.ts';
import { download, getText } from '../http.ts';
import { type Manifest, manifestFile, moreFiles, parseManifest } from '../manifest.ts';
import { throttle } from '../progress.ts';
import { artifactId } from '../versions.ts';
import type { Job, Source } from './source.ts';

/** A web server with our own layout: `<mirror>/<name>-<version>/manifest.json` and the files that it names. */
export function mirrorSource(mirror: string): Source {
  const base = mirror.replace(/\/+$/, '');
  return {
    name: 'mirror',
    async fetch(job) {
      const root = `${base}/${artifactId(job.release)}`;
      const manifest = await fetchManifest(`${root}/${manifestFile}`, job);
      const more = moreFiles(job.release, manifest);
      for (const file of [...job.release.files, ...more]) {
        const expected = manifest.files[file];
        if (!expected) throw unavailable(`the mirror's manifest of ${artifactId(job.release)} lacks ${file}`);
        const onBytes = throttle(200, (done: number, total: number) =>
          job.report.step('download', `${file} from the mirror`, { done, total, unit: 'bytes' }),
        );
        const got = await download(`${root}/${file}`, join(job.dir, file), onBytes);
        if (got.sha256 !== expected.sha256) {
          throw corrupt(`${root}/${file} has the SHA-256 ${got.sha256} instead of ${expected.sha256}`);
        }
      }
      return {
        more,
        ...(manifest.actualVersion === undefined ? {} : { actualVersion: manifest.actualVersion }),
      };
    },
  };
}

async function fetchManifest(url: string, job: Job): Promise<Manifest> {
  const text = await getText(url);
  let manifest: Manifest;
  try {
    manifest = parseManifest(text);
  } catch (error) {
    throw corrupt(`${url}: ${describe(error)}`);
  }
  const { name, version, arch } = manifest;
  if (name !== job.release.name || version !== job.release.version || arch !== job.arch) {
    throw unavailable(`${url} is of ${name} ${version} for ${arch}, not for ${job.arch}`);
  }
  return manifest;
}
