import type { SourceName } from '../manifest.ts';
import type { Reporter } from '../progress.ts';
import type { Arch, Release } from '../versions.ts';

export interface Job {
  release: Release;
  arch: Arch;
  /** An empty folder to put the artifact's files in. */
  dir: string;
  /** A folder for anything else, removed afterwards. */
  scratch: string;
  report: Reporter;
}

/** What a source says of what it gave, besides the files. */
export interface Fetched {
  actualVersion?: string;
  /** Files besides those of the release. */
  more?: string[];
}

/**
 * One way to get an artifact. Puts the files in `job.dir`, checked against what it knows of them. Throws
 * `artifact_unavailable` where it has none, `artifact_corrupt` where what it has is not what its checksum says (then it
 * is asked once more), `insufficient_storage` where the disk is full (then nothing else is tried).
 */
export interface Source {
  name: SourceName;
  fetch(job: Job): Promise<Fetched>;
}
