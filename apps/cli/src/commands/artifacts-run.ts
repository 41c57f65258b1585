import { type ArtifactStore, createArtifactStore, type Progress } from '@rancher/artifacts';
import { artifactsOf, supportedVersions } from '@rancher/components';
import type { ArtifactRef } from '@rancher/domain';
import type { Context } from '../context.ts';
import { Misuse } from '../errors.ts';
import { duration, table } from '../output.ts';
import type { Step } from '../progress/step.ts';
import { runSteps } from '../progress/steps.ts';
import type { Settings } from '../settings.ts';

export function openStore({ config }: Settings): ArtifactStore {
  return createArtifactStore({ cacheDir: config.cache, mirror: config.artifactsMirror });
}

function size(bytes: number): string {
  return bytes < 1 << 20 ? `${Math.ceil(bytes / 1024)} KiB` : `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}

/** What is done, how far, how long. */
export function inWords(progress: Progress): string {
  const { message, done, total, unit, elapsedMs } = progress;
  const show = (n: number) => (unit === 'bytes' ? size(n) : String(n));
  const far = total > 0 ? `, ${show(done)} of ${show(total)}${unit === 'bytes' ? '' : ` ${unit}`}` : '';
  return `${message}${far}, ${duration(elapsedMs)}`;
}

/** One step for all that a host of a Kubernetes version needs. */
export function artifactsStep(store: ArtifactStore, version: string): Step {
  return {
    title: `Programs of Kubernetes ${version}`,
    async run(report) {
      const refs = artifactsOf(version);
      let fetched = 0;
      const manifests = await store.ensureAll(refs, (progress) => {
        if (progress.step === 'download' || progress.step === 'build') fetched = 1;
        report(`${progress.artifact}: ${inWords(progress)}`);
      });
      return fetched === 0 ? 'in the cache' : manifests.map((m) => `${m.name} ${m.version}`).join(', ');
    },
  };
}

/** @throws Misuse naming the versions there are. */
export function checkVersion(text: string): string {
  const version = text.replace(/^v/, '');
  const known = supportedVersions.map((v) => v.version);
  if (!known.includes(version))
    throw new Misuse(`Kubernetes ${text} is not supported; there is: ${known.join(', ')}`);
  return version;
}

export async function fetchArtifacts(
  { settings, output, signal }: Context,
  versions: string[],
  options: { json: boolean },
): Promise<void> {
  const wanted = [...new Set(versions.map(checkVersion))];
  const store = openStore(settings);
  await runSteps(
    wanted.map((version) => artifactsStep(store, version)),
    output,
    signal,
  );
  if (options.json) output.json(await rowsOf(store, wanted));
}

export async function listArtifacts(
  { settings, output }: Context,
  options: { json: boolean },
): Promise<void> {
  const rows = await rowsOf(
    openStore(settings),
    supportedVersions.map((v) => v.version),
  );
  if (options.json) return output.json(rows);
  const cells = rows.map((r) => [
    r.kubernetesVersion,
    r.name,
    r.version,
    r.source ?? 'not here',
    r.bytes ? size(r.bytes) : '',
  ]);
  output.print(table(['KUBERNETES', 'ARTIFACT', 'VERSION', 'FROM', 'SIZE'], cells));
}

async function rowsOf(store: ArtifactStore, versions: string[]) {
  return Promise.all(
    versions.flatMap((version) => artifactsOf(version).map((ref: ArtifactRef) => rowOf(store, version, ref))),
  );
}

async function rowOf(store: ArtifactStore, kubernetesVersion: string, ref: ArtifactRef) {
  const manifest = await store.manifest(ref);
  const files = Object.values(manifest?.files ?? {});
  return {
    kubernetesVersion,
    name: ref.name,
    version: ref.version,
    source: manifest?.source ?? null,
    bytes: files.reduce((sum, file) => sum + file.size, 0),
  };
}
