import { lstatSync, mkdirSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { ArtifactRef } from '@rancher/domain';
import type { ServerAccess } from '../connection/http.ts';
import { readJson } from '../files.ts';
import { downloadArtifact, type Manifest } from './artifact-download.ts';
import { sha256OfFile } from './sha256-of-file.ts';

interface Options {
  /** Where specs expect them: `hostPaths.artifacts`. */
  targetDir: string;
  /** The machine's own cache, looked at before the server is asked. */
  cacheDir: string | undefined;
  server: () => ServerAccess;
}

/**
 * Makes pinned programs be on the host and be sound. A file is taken for sound while it has not changed since its digest
 * was last checked, which the cache does before it writes a manifest; otherwise it is read again.
 */
export class Artifacts {
  readonly #options: Options;
  readonly #running = new Map<string, Promise<void>>();
  /** Size, time of change and inode of files whose digest was right. */
  readonly #checked = new Map<string, string>();

  constructor(options: Options) {
    this.#options = options;
  }

  /**
   * @param progress told in words what is going on, for the instance's message.
   * @throws ArtifactCorruptError when what the server sent is not what its manifest says; other errors when neither the
   * cache nor the server has it.
   */
  async ensure(ref: ArtifactRef, progress: (message: string) => void): Promise<void> {
    const id = `${ref.name}-${ref.version}`;
    let running = this.#running.get(id);
    if (running === undefined) {
      running = this.#ensure(ref, id, progress).finally(() => this.#running.delete(id));
      this.#running.set(id, running);
    }
    await running;
  }

  async #ensure(ref: ArtifactRef, id: string, progress: (message: string) => void): Promise<void> {
    const target = join(this.#options.targetDir, id);
    const here = await this.#fault(target);
    if (here === undefined) return;
    const cached = this.#options.cacheDir === undefined ? undefined : join(this.#options.cacheDir, id);
    const fault = cached === undefined || cached === target ? here : await this.#fault(cached);
    if (fault === undefined) return link(cached!, target);
    if (fault !== 'missing') progress(`artifact ${id} is refused: ${fault}; it is fetched again`);
    const { server } = this.#options;
    await downloadArtifact(server(), ref, target, (message) =>
      progress(fault === 'missing' ? message : `${message}, as the one here is refused: ${fault}`),
    );
  }

  /** What is wrong with the artifact in a folder: undefined = nothing; `missing` = it is not there at all. */
  async #fault(dir: string): Promise<string | undefined> {
    const manifest = readJson<Manifest>(join(dir, 'manifest.json'));
    if (manifest === undefined) return 'missing';
    const verifiedAt = statSync(join(dir, 'manifest.json')).ctimeMs;
    for (const [file, { size, sha256 }] of Object.entries(manifest.files)) {
      const path = join(dir, file);
      const stat = statSync(path, { throwIfNoEntry: false });
      if (stat === undefined) return `${file} is missing`;
      if (stat.size !== size) return `${file} has ${stat.size} bytes instead of ${size}`;
      const state = `${stat.size} ${stat.ctimeMs} ${stat.ino}`;
      if (stat.ctimeMs <= verifiedAt || this.#checked.get(path) === state) continue;
      if ((await sha256OfFile(path)) !== sha256) return `${file} does not have the SHA-256 of its manifest`;
      this.#checked.set(path, state);
    }
    return undefined;
  }
}

/** Puts the cache's folder where specs expect it. */
function link(cached: string, target: string): void {
  mkdirSync(dirname(target), { recursive: true });
  if (lstatSync(target, { throwIfNoEntry: false }) !== undefined) rmSync(target, { recursive: true });
  symlinkSync(cached, target);
}
