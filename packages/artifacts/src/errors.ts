import { DomainError } from '@rancher/domain';

/** Turns "disk full" of any origin (errno, a child's message) into `insufficient_storage`; leaves the rest as it is. */
export function asDomainError(error: unknown, where: string): unknown {
  if (error instanceof DomainError) return error;
  const code = (error as { code?: unknown } | null)?.code;
  const cause = (error as { cause?: { code?: unknown } } | null)?.cause?.code;
  if ([code, cause].some((c) => c === 'ENOSPC' || c === 'EDQUOT') || saysDiskFull(String(error))) {
    return diskFull(where, error);
  }
  return error;
}

export function saysDiskFull(text: string): boolean {
  return /no space left on device|disk quota exceeded/i.test(text);
}

export function diskFull(where: string, cause?: unknown): DomainError {
  return new DomainError(
    'insufficient_storage',
    `the disk that holds ${where} is full: free some space there, or set RANCHER_CACHE to a folder on another disk`,
    { cause },
  );
}

/** A source that cannot give an artifact, so that the next one is tried. */
export function unavailable(message: string, cause?: unknown): DomainError {
  return new DomainError('artifact_unavailable', message, { cause });
}

/** Something that was fetched and is not what its checksum says. */
export function corrupt(message: string): DomainError {
  return new DomainError('artifact_corrupt', message);
}

/** The message of an error with that of its cause, which for network errors is the one that tells. */
export function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error ? error.cause : undefined;
  const inner = cause ? cause.message || String((cause as { code?: unknown }).code ?? '') : '';
  return inner !== '' && !(error instanceof DomainError) ? `${error.message}: ${inner}` : error.message;
}
