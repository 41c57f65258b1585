import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { agentPaths } from '@rancher/contracts';
import type { ArtifactRef } from '@rancher/domain';
import { type ServerAccess, send, sendJson } from '../connection/http.ts';

/** What the files of an artifact are: the `manifest.json` beside them, and what the server answers for it. */
export interface Manifest {
  name: string;
  version: string;
  files: Record<string, { sha256: string; size: number }>;
}

export class ArtifactCorruptError extends Error {}

const plainName = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;

/**
 * Fetches an artifact from the server into a folder, which is there wholly or not at all.
 * @throws ArtifactCorruptError when a file is not what the manifest says; nothing of it is kept.
 */
export async function downloadArtifact(
  server: ServerAccess,
  ref: ArtifactRef,
  target: string,
  progress: (message: string) => void,
): Promise<void> {
  const manifest = await sendJson<Manifest>(
    server,
    'GET',
    agentPaths.artifactManifest(ref.name, ref.version),
  );
  const partial = `${target}.partial`;
  await rm(partial, { recursive: true, force: true });
  await mkdir(partial, { recursive: true });
  const tell = progressOf(ref, manifest, progress);
  try {
    for (const [file, expected] of Object.entries(manifest.files)) {
      if (!plainName.test(file)) throw new ArtifactCorruptError(`the manifest names ${JSON.stringify(file)}`);
      const source = await send(server, 'GET', agentPaths.artifact(ref.name, ref.version, file));
      const hash = createHash('sha256');
      const measure = new Transform({
        transform(chunk: Buffer, _encoding, done) {
          hash.update(chunk);
          tell(chunk.length);
          done(null, chunk);
        },
      });
      await pipeline(source, measure, createWriteStream(join(partial, file), { mode: 0o755 }));
      if (hash.digest('hex') !== expected.sha256) {
        throw new ArtifactCorruptError(
          `artifact ${ref.name}-${ref.version}: ${file} from the server does not have the SHA-256 of its manifest; refused, it is fetched again`,
        );
      }
    }
    await writeFile(join(partial, 'manifest.json'), JSON.stringify(manifest));
    await rm(target, { recursive: true, force: true });
    await rename(partial, target);
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    throw error;
  }
}

/** Tells how far it is, at most each second. */
function progressOf(ref: ArtifactRef, manifest: Manifest, progress: (message: string) => void) {
  const total = Object.values(manifest.files).reduce((sum, file) => sum + file.size, 0);
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
