import { createHash } from 'node:crypto';
import { createWriteStream, lstatSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { agentPaths } from '@rancher/contracts';
import type { ArtifactRef, ArtifactUse } from '@rancher/domain';
import { type ServerAccess, send, sendJson } from '../connection/http.ts';

/** What the files of an artifact are: the `manifest.json` beside them, and what the server answers for it. */
export interface Manifest {
  name: string;
  version: string;
  files: Record<string, { sha256: string; size: number }>;
}

export class ArtifactCorruptError extends Error {}

const plainName = /^[A-Za-z0-9][A-Za-z0-9._+-]*$/;

export const manifestFile = 'manifest.json';

/**
 * Fetches those files of an artifact that are wanted and not sound from the server into a folder, where each is there
 * wholly or not at all. Its manifest is written last, and says of every file beside it that it was sound then.
 * @param isSound whether a file that is there already is what the server's manifest says
 * @throws ArtifactCorruptError when a file is not what the manifest says; nothing of it is kept.
 */
export async function downloadArtifact(
  server: ServerAccess,
  use: ArtifactUse,
  target: string,
  isSound: (manifest: Manifest, file: string) => Promise<boolean>,
  progress: (message: string) => void,
): Promise<void> {
  const path = agentPaths.artifactManifest(use.name, use.version);
  const manifest = await sendJson<Manifest>(server, 'GET', path);
  const evil = Object.keys(manifest.files).find((file) => !plainName.test(file));
  if (evil !== undefined) throw new ArtifactCorruptError(`the manifest names ${JSON.stringify(evil)}`);
  // A link into a cache whose own copy is not sound.
  if (lstatSync(target, { throwIfNoEntry: false })?.isDirectory() !== true) await rm(target, { force: true });
  await mkdir(target, { recursive: true });
  const wanted = use.files ?? Object.keys(manifest.files);
  const missing: string[] = [];
  for (const file of Object.keys(manifest.files)) {
    if (await isSound(manifest, file)) continue;
    await rm(join(target, file), { force: true });
    if (wanted.includes(file)) missing.push(file);
  }
  const tell = progressOf(use, manifest, missing, progress);
  for (const file of missing) await downloadFile(server, use, manifest, file, target, tell);
  const written = join(target, `${manifestFile}.partial`);
  await writeFile(written, JSON.stringify(manifest));
  await rename(written, join(target, manifestFile));
}

async function downloadFile(
  server: ServerAccess,
  { name, version }: ArtifactRef,
  manifest: Manifest,
  file: string,
  target: string,
  tell: (bytes: number) => void,
): Promise<void> {
  const source = await send(server, 'GET', agentPaths.artifact(name, version, file));
  const hash = createHash('sha256');
  const measure = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      tell(chunk.length);
      done(null, chunk);
    },
  });
  const partial = join(target, `${file}.partial`);
  try {
    await pipeline(source, measure, createWriteStream(partial, { mode: 0o755 }));
    if (hash.digest('hex') !== manifest.files[file]?.sha256) {
      throw new ArtifactCorruptError(
        `artifact ${name}-${version}: ${file} from the server does not have the SHA-256 of its manifest; refused, it is fetched again`,
      );
    }
    await rename(partial, join(target, file));
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
}

/** Tells how far it is, at most each second. */
function progressOf(
  ref: ArtifactRef,
  manifest: Manifest,
  files: readonly string[],
  progress: (message: string) => void,
) {
  const total = files.reduce((sum, file) => sum + (manifest.files[file]?.size ?? 0), 0);
  const mb = (bytes: number) => Math.round(bytes / 1e6);
  let done = 0;
  let toldAt = 0;
  return (bytes: number) => {
    done += bytes;
    if (Date.now() - toldAt < 1000) return;
    toldAt = Date.now();
    progress(`downloading ${ref.name}-${ref.version}: ${mb(done)} of ${mb(total)} MB`);
  };
}
