import { existsSync, lstatSync, mkdirSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { ArtifactUse } from '@rancher/domain';
import type { ServerAccess } from '../connection/http.ts';
import { readJson } from '../files.ts';
import { downloadArtifact, type Manifest, manifestFile } from './artifact-download.ts';
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
  async ensure(use: ArtifactUse, progress: (message: string) => void): Promise<void> {
    const id = `${use.name}-${use.version}`;
    // One after the other, as instances need different files of one folder.
    const before = this.#running.get(id)?.catch(() => {});
    const running = Promise.resolve(before)
      .then(() => this.#ensure(use, id, progress))
      .finally(() => {
        if (this.#running.get(id) === running) this.#running.delete(id);
      });
    this.#running.set(id, running);
    await running;
  }

  async #ensure(use: ArtifactUse, id: string, progress: (message: string) => void): Promise<void> {
    const target = join(this.#options.targetDir, id);
    const here = await this.#fault(target, use.files);
    if (here === undefined) return;
    const cached = this.#options.cacheDir === undefined ? undefined : join(this.#options.cacheDir, id);
    const fault = cached === undefined || cached === target ? here : await this.#fault(cached, use.files);
    if (fault === undefined) return link(cached!, target);
    if (fault !== 'missing') progress(`artifact ${id} is refused: ${fault}; it is fetched again`);
    const tell = (message: string) =>
      progress(fault === 'missing' ? message : `${message}, as the one here is refused: ${fault}`);
    const local = readJson<Manifest>(join(target, manifestFile));
    const isSound = async (manifest: Manifest, file: string) =>
      local?.files[file]?.sha256 === manifest.files[file]?.sha256 &&
      (await this.#faultOf(target, manifest, file)) === undefined;
    await downloadArtifact(this.#options.server(), use, target, isSound, tell);
  }

  /** What is wrong with what is wanted of an artifact in a folder: undefined = nothing; `missing` = it is not there at all. */
  async #fault(dir: string, files: readonly string[] | undefined): Promise<string | undefined> {
    const manifest = readJson<Manifest>(join(dir, manifestFile));
    if (manifest === undefined) return 'missing';
    const wanted = files ?? Object.keys(manifest.files);
    if (wanted.some((file) => !existsSync(join(dir, file)))) return 'missing';
    for (const file of wanted) {
      const fault = await this.#faultOf(dir, manifest, file);
      if (fault !== undefined) return fault;
    }
    return undefined;
  }

  async #faultOf(dir: string, manifest: Manifest, file: string): Promise<string | undefined> {
    const path = join(dir, file);
    const stat = statSync(path, { throwIfNoEntry: false });
    const expected = manifest.files[file];
    const verifiedAt = statSync(join(dir, manifestFile), { throwIfNoEntry: false })?.ctimeMs ?? 0;
    if (stat === undefined || expected === undefined) return `${file} is missing`;
    if (stat.size !== expected.size) return `${file} has ${stat.size} bytes instead of ${expected.size}`;
    const state = `${stat.size} ${stat.ctimeMs} ${stat.ino}`;
    if (stat.ctimeMs <= verifiedAt || this.#checked.get(path) === state) return undefined;
    if ((await sha256OfFile(path)) !== expected.sha256)
      return `${file} does not have the SHA-256 of its manifest`;
    this.#checked.set(path, state);
    return undefined;
  }
}

/** Puts the cache's folder where specs expect it. */
function link(cached: string, target: string): void {
  mkdirSync(dirname(target), { recursive: true });
  if (lstatSync(target, { throwIfNoEntry: false }) !== undefined) rmSync(target, { recursive: true });
  symlinkSync(cached, target);
}
