import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { asDomainError, corrupt, describe, diskFull, unavailable } from './errors.ts';
import type { FileEntry } from './manifest.ts';

const connectTimeoutMs = 3_000;
/** A download that brings nothing for this long has stalled. */
const stallTimeoutMs = 60_000;

/** Origin → whether it answered, for the life of the process: an unreachable one is not waited for twice. */
const reachability = new Map<string, Promise<string | null>>();

/** Throws `artifact_unavailable` unless the origin of `url` answers anything within 3 s. Asked once for a process. */
export async function assertReachable(url: string): Promise<void> {
  const { origin } = new URL(url);
  let answer = reachability.get(origin);
  if (!answer) {
    answer = fetch(origin, {
      method: 'HEAD',
      redirect: 'manual',
      signal: AbortSignal.timeout(connectTimeoutMs),
    }).then(() => null, describe);
    reachability.set(origin, answer);
  }
  const problem = await answer;
  if (problem !== null) throw unavailable(`${origin} cannot be reached (${problem})`);
}

/** The text at `url`. Throws `artifact_unavailable` where there is none. */
export async function getText(url: string): Promise<string> {
  const response = await get(url, AbortSignal.timeout(stallTimeoutMs));
  return response.text().catch((error: unknown) => {
    throw unavailable(`${url} ended early (${describe(error)})`, error);
  });
}

/**
 * Writes what is at `url` to `file` and gives its hash. Throws `artifact_unavailable` (missing, unreachable, stalled),
 * `artifact_corrupt` (ended early) or `insufficient_storage`.
 */
export async function download(
  url: string,
  file: string,
  onBytes: (done: number, total: number) => void,
): Promise<FileEntry> {
  const stalled = new AbortController();
  const watchdog = setTimeout(() => stalled.abort(new Error('stalled')), stallTimeoutMs);
  try {
    const response = await get(url, stalled.signal);
    // Of a compressed answer the length tells nothing about the file.
    const encoded = response.headers.has('content-encoding');
    const total = encoded ? 0 : Number(response.headers.get('content-length') ?? 0);
    await assertSpace(file, total);
    const hash = createHash('sha256');
    let size = 0;
    const meter = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        watchdog.refresh();
        hash.update(chunk);
        size += chunk.length;
        onBytes(size, total);
        done(null, chunk);
      },
    });
    await pipeline(Readable.fromWeb(response.body!), meter, createWriteStream(file)).catch(
      (error: unknown) => {
        const known = asDomainError(error, dirname(file));
        if (known !== error) throw known;
        throw corrupt(`${url} ended early after ${size} of ${total || 'unknown'} bytes (${describe(error)})`);
      },
    );
    if (total > 0 && size !== total) throw corrupt(`${url} ended early after ${size} of ${total} bytes`);
    return { sha256: hash.digest('hex'), size };
  } finally {
    clearTimeout(watchdog);
  }
}

async function get(url: string, signal: AbortSignal): Promise<Response> {
  await assertReachable(url);
  const response = await fetch(url, { signal }).catch((error: unknown) => {
    throw unavailable(`${url} cannot be fetched (${describe(error)})`, error);
  });
  if (response.ok && response.body) return response;
  await response.body?.cancel();
  throw unavailable(`${url} answered ${response.status}`);
}

async function assertSpace(file: string, needed: number): Promise<void> {
  const { bavail, bsize } = await statfs(dirname(file));
  if (needed > bavail * bsize) throw diskFull(dirname(file));
}
