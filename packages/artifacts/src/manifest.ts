import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Arch, Release } from './versions.ts';

export type SourceName = 'mirror' | 'official' | 'build' | 'host' | 'script' | 'installation';

/** What a folder of the store holds: `manifest.json` beside the files, and what a mirror serves too. */
export interface Manifest {
  name: string;
  version: string;
  arch: Arch;
  source: SourceName;
  /** What the program says of itself, where the host's own stands in for the pinned version. */
  actualVersion?: string;
  files: Record<string, FileEntry>;
}

export interface FileEntry {
  /** In hexadecimal. */
  sha256: string;
  /** In bytes. */
  size: number;
}

export const manifestFile = 'manifest.json';

/** Reads a manifest; null where there is none or it is not one (a crash may leave an empty file). */
export async function readManifest(dir: string): Promise<Manifest | null> {
  try {
    return parseManifest(await readFile(join(dir, manifestFile), 'utf8'));
  } catch {
    return null;
  }
}

/** Parses the text of a manifest. Throws an Error that says what is wrong with it. */
export function parseManifest(text: string): Manifest {
  const value = JSON.parse(text) as Partial<Manifest> | null;
  if (
    typeof value?.name !== 'string' ||
    typeof value.version !== 'string' ||
    typeof value.arch !== 'string'
  ) {
    throw new Error('not a manifest: name, version or arch is missing');
  }
  if (typeof value.files !== 'object' || value.files === null) {
    throw new Error('not a manifest: files is missing');
  }
  for (const [file, entry] of Object.entries(value.files)) {
    if (!isPlainName(file)) throw new Error(`not a manifest: ${JSON.stringify(file)} is no name of a file`);
    if (!/^[0-9a-f]{64}$/.test(entry?.sha256 ?? '') || !Number.isSafeInteger(entry.size)) {
      throw new Error(`not a manifest: ${file} has no sha256 or no size`);
    }
  }
  return value as Manifest;
}

/** Files that an artifact has besides those of its release, such as libraries of a program that came from a host. */
export function moreFiles(release: Release, manifest: Manifest): string[] {
  return Object.keys(manifest.files).filter((file) => !release.files.includes(file));
}

/** Names a file in a folder, and nothing elsewhere. */
export function isPlainName(file: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9._+-]*$/.test(file);
}

/** SHA-256 (hexadecimal) and size (bytes) of a file. */
export async function hashFile(path: string): Promise<FileEntry> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash);
  return { sha256: hash.digest('hex'), size: (await stat(path)).size };
}
