import { chmod, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ArtifactRef, DomainError } from '@rancher/domain';
import { asDomainError, describe } from './errors.ts';
import { withLock } from './lock.ts';
import { hashFile, isPlainName, type Manifest, manifestFile, moreFiles, readManifest } from './manifest.ts';
import { createReporter, type OnProgress, type Progress, type Reporter } from './progress.ts';
import { buildSource } from './sources/build.ts';
import { hostSource } from './sources/host.ts';
import { installationSource } from './sources/installation.ts';
import { mirrorSource } from './sources/mirror.ts';
import { officialSource } from './sources/official.ts';
import { scriptSource } from './sources/script.ts';
import type { Source } from './sources/source.ts';
import { artifactId, hostArch, officialOrigins, type Release, releaseOf } from './versions.ts';

export interface ArtifactStoreOptions {
  /** RANCHER_CACHE: artifacts are kept below `artifacts/`, Go's caches below `go/`. */
  cacheDir: string;
  /** RANCHER_ARTIFACTS_MIRROR: a web server with the layout of `artifacts/`, asked first. */
  mirror?: string | undefined;
  logger?: ArtifactLogger | undefined;
  /** Where official downloads come from, in place of the publishers. */
  origins?: Partial<typeof officialOrigins> | Record<keyof typeof officialOrigins, string>;
}

/** The part of pino's logger that is used. */
export interface ArtifactLogger {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/** The artifacts of this machine. Several processes may use the same folder at once. */
export interface ArtifactStore {
  /**
   * Gets an artifact from the first source that has it: cache, mirror, official downloads, build, the host's own
   * program. What is in the cache is checked against its checksums first, and fetched again where it is not sound.
   * Throws `unknown_version`, `artifact_unavailable` (the message says why of each source), `artifact_corrupt`,
   * `insufficient_storage`.
   */
  ensure(ref: ArtifactRef, onProgress?: OnProgress): Promise<Manifest>;
  /** Gets several, those that are quickly made first. Gives their manifests in the order of `refs`. */
  ensureAll(refs: readonly ArtifactRef[], onProgress?: OnProgress): Promise<Manifest[]>;
  /** The manifest of an artifact that is here; null where it is not. Throws `unknown_version`. */
  manifest(ref: ArtifactRef): Promise<Manifest | null>;
  /** Absolute path of a file of an artifact, here or not. Throws `unknown_version`, `not_found` (no name of a file). */
  filePath(ref: ArtifactRef, file: string): string;
  /** Reads an artifact's files wholly and names those that are missing or not what the manifest says; empty = sound. */
  verify(ref: ArtifactRef): Promise<string[]>;
}

/** Opens the store below `cacheDir`; makes no folder and asks nobody until something is needed. */
export function createArtifactStore(options: ArtifactStoreOptions): ArtifactStore {
  const root = join(options.cacheDir, 'artifacts');
  const fetcher = createFetcher(root, sourcesOf(options), options.logger);
  const running = new Map<string, { result: Promise<Manifest>; listeners: Set<OnProgress> }>();

  async function ensure(ref: ArtifactRef, onProgress?: OnProgress): Promise<Manifest> {
    const release = releaseOf(ref);
    const id = artifactId(ref);
    const listeners = running.get(id)?.listeners ?? new Set<OnProgress>();
    if (onProgress) listeners.add(onProgress);
    let current = running.get(id);
    if (!current) {
      const tellAll = (progress: Progress) => listeners.forEach((listener) => void listener(progress));
      const result = fetcher.ensure(release, createReporter(ref, tellAll)).finally(() => running.delete(id));
      current = { result, listeners };
      running.set(id, current);
    }
    return current.result;
  }

  return {
    ensure,
    async ensureAll(refs, onProgress) {
      const manifests = new Map<string, Manifest>();
      const quickFirst = [...refs].sort((a, b) => releaseOf(a).buildWeight - releaseOf(b).buildWeight);
      for (const ref of quickFirst) manifests.set(artifactId(ref), await ensure(ref, onProgress));
      return refs.map((ref) => manifests.get(artifactId(ref))!);
    },
    async manifest(ref) {
      return readManifest(join(root, artifactId(releaseOf(ref))));
    },
    filePath(ref, file) {
      if (!isPlainName(file)) throw new DomainError('not_found', `${artifactId(ref)} has no file ${file}`);
      return join(root, artifactId(releaseOf(ref)), file);
    },
    async verify(ref) {
      const release = releaseOf(ref);
      const dir = join(root, artifactId(ref));
      const manifest = await readManifest(dir);
      return manifest ? unsoundFiles(dir, manifest, release, true) : [manifestFile];
    },
  };
}

function sourcesOf({ cacheDir, mirror, origins }: ArtifactStoreOptions): Source[] {
  return [
    ...(mirror ? [mirrorSource(mirror)] : []),
    officialSource({ ...officialOrigins, ...origins }),
    buildSource(join(cacheDir, 'go')),
    hostSource(),
    scriptSource(),
  ];
}

function createFetcher(root: string, sources: readonly Source[], logger: ArtifactLogger | undefined) {
  async function cached(release: Release, report: Reporter): Promise<Manifest | null> {
    const dir = join(root, artifactId(release));
    const manifest = await readManifest(dir);
    if (manifest === null) return null;
    const unsound =
      manifest.arch === hostArch() ? await unsoundFiles(dir, manifest, release, false) : [manifestFile];
    if (unsound.length === 0) return manifest;
    refuse(release, report, `the cached copy is corrupt (${unsound.join(', ')})`);
    return null;
  }

  function refuse(release: Release, report: Reporter, why: string): void {
    logger?.warn({ artifact: artifactId(release), why }, 'artifact refused');
    report.step('refused', why);
  }

  async function obtain(release: Release, report: Reporter): Promise<Manifest> {
    const problems: string[] = [];
    let corruptSeen = false;
    for (const source of release.installed ? [installationSource()] : sources) {
      // What came damaged is asked for once more: most often the transfer was at fault.
      for (let attempt = 1; attempt <= 2; attempt++) {
        try {
          return await fetchFrom(root, source, release, report);
        } catch (raw) {
          const error = asDomainError(raw, root);
          if (!(error instanceof DomainError) || error.code === 'insufficient_storage') throw error;
          problems.push(`${source.name}: ${error.message}`);
          if (error.code !== 'artifact_corrupt') break;
          corruptSeen = true;
          refuse(release, report, error.message);
        }
      }
    }
    const code = corruptSeen ? 'artifact_corrupt' : 'artifact_unavailable';
    throw new DomainError(code, `${artifactId(release)} cannot be had. ${problems.join('. ')}`);
  }

  async function ensureLocked(release: Release, report: Reporter): Promise<Manifest> {
    const id = artifactId(release);
    await mkdir(root, { recursive: true });
    const onWait = () => report.step('wait', `another process fetches ${id}`);
    return withLock(join(root, `.lock-${id}`), onWait, async () => {
      const manifest = await cached(release, report);
      if (manifest) return manifest;
      const fetched = await obtain(release, report);
      logger?.info({ artifact: id, source: fetched.source }, 'artifact fetched');
      return fetched;
    });
  }

  return {
    async ensure(release: Release, report: Reporter): Promise<Manifest> {
      report.step('cache', `looking for ${artifactId(release)}`);
      try {
        const dir = join(root, artifactId(release));
        const quick = await readManifest(dir);
        const sound =
          quick?.arch === hostArch() && (await unsoundFiles(dir, quick, release, false)).length === 0;
        const manifest = quick && sound ? quick : await ensureLocked(release, report);
        const total = release.files.length;
        report.step('done', `${artifactId(release)} (${manifest.source})`, { done: total, total });
        return manifest;
      } catch (error) {
        throw asDomainError(error, root);
      }
    },
  };
}

/** Fills a folder beside the final one and renames it, so that nobody ever sees half an artifact. */
async function fetchFrom(
  root: string,
  source: Source,
  release: Release,
  report: Reporter,
): Promise<Manifest> {
  const id = artifactId(release);
  const temporary = join(root, `.tmp-${id}`);
  const dir = join(temporary, 'files');
  const scratch = join(temporary, 'scratch');
  await rm(temporary, { recursive: true, force: true });
  await mkdir(dir, { recursive: true });
  await mkdir(scratch);
  try {
    const arch = hostArch();
    const { more = [], ...fetched } = await source.fetch({ release, arch, dir, scratch, report });
    const files = [...release.files, ...more];
    const manifest: Manifest = {
      name: release.name,
      version: release.version,
      arch,
      source: source.name,
      ...fetched,
      files: {},
    };
    for (const [done, file] of files.entries()) {
      report.step('verify', file, { done, total: files.length });
      await chmod(join(dir, file), 0o755);
      manifest.files[file] = await hashFile(join(dir, file));
    }
    await writeFile(join(dir, manifestFile), `${JSON.stringify(manifest, null, 2)}\n`);
    await rm(join(root, id), { recursive: true, force: true });
    await rename(dir, join(root, id));
    return manifest;
  } catch (error) {
    throw error instanceof DomainError ? error : (asDomainError(error, root) as Error);
  } finally {
    await rm(temporary, { recursive: true, force: true }).catch((error: unknown) =>
      report.step('cache', `could not remove ${temporary}: ${describe(error)}`),
    );
  }
}

const stampFile = '.verified.json';

/**
 * The files of an artifact that are missing or not what its manifest says. Reading half a gigabyte takes a second, so a
 * file is read again only where it changed (inode, size, time) since it was last found sound, unless `wholly`.
 */
async function unsoundFiles(
  dir: string,
  manifest: Manifest,
  release: Release,
  wholly: boolean,
): Promise<string[]> {
  const known = wholly ? {} : await readStamps(dir);
  const stamps: Record<string, string> = {};
  const unsound: string[] = [];
  for (const file of [...release.files, ...moreFiles(release, manifest)]) {
    const expected = manifest.files[file];
    const stamp = await stampOf(join(dir, file));
    const same =
      expected !== undefined &&
      stamp !== null &&
      (known[file] === `${stamp} ${expected.sha256}` ||
        (await hashFile(join(dir, file))).sha256 === expected.sha256);
    if (same) stamps[file] = `${stamp} ${expected.sha256}`;
    else unsound.push(file);
  }
  const unchanged = Object.entries(stamps).every(([file, stamp]) => known[file] === stamp);
  // A cache that cannot be written to still serves; it is only read more often.
  if (!unchanged) await writeFile(join(dir, stampFile), JSON.stringify(stamps)).catch(() => undefined);
  return unsound;
}

async function readStamps(dir: string): Promise<Record<string, string>> {
  try {
    return JSON.parse(await readFile(join(dir, stampFile), 'utf8')) as Record<string, string>;
  } catch {
    return {};
  }
}

async function stampOf(path: string): Promise<string | null> {
  return stat(path).then(
    (s) => `${s.ino} ${s.size} ${s.mtimeMs}`,
    () => null,
  );
}
