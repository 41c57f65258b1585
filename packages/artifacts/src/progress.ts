import type { ArtifactRef } from '@rancher/domain';
import { artifactId } from './versions.ts';

/**
 * What is being done: look in the cache, wait for another process that fetches the same, download, get the Go toolchain,
 * build, check; `refused` says that something was thrown away and why; `done` comes last, once.
 */
export type ProgressStep =
  | 'cache'
  | 'wait'
  | 'download'
  | 'toolchain'
  | 'build'
  | 'install'
  | 'verify'
  | 'refused'
  | 'done';

export interface Progress {
  /** `<name>-<version>` of the artifact, or `host` for packages of the host. */
  artifact: string;
  step: ProgressStep;
  done: number;
  /** 0 = not known. */
  total: number;
  unit: 'bytes' | 'packages' | 'files';
  message: string;
  elapsedMs: number;
}
export type OnProgress = (progress: Progress) => void;

/** Reports one artifact's progress; counts the time from its making. */
export interface Reporter {
  step(
    step: ProgressStep,
    message: string,
    figures?: Partial<Pick<Progress, 'done' | 'total' | 'unit'>>,
  ): void;
}

export function createReporter(artifact: ArtifactRef | 'host', onProgress: OnProgress | undefined): Reporter {
  const startedAt = performance.now();
  const id = artifact === 'host' ? artifact : artifactId(artifact);
  return {
    step(step, message, { done = 0, total = 0, unit = 'files' } = {}) {
      const elapsedMs = Math.round(performance.now() - startedAt);
      onProgress?.({ artifact: id, step, done, total, unit, message, elapsedMs });
    },
  };
}

/** Lets a call through at most every `ms` milliseconds, for figures that change faster than anybody reads. */
export function throttle<A extends unknown[]>(ms: number, call: (...args: A) => void): (...args: A) => void {
  let last = Number.NEGATIVE_INFINITY;
  return (...args) => {
    const now = performance.now();
    if (now - last < ms) return;
    last = now;
    call(...args);
  };
}
