import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Makes a file's content and mode be these, as a whole or not at all (a crash or a full disk leaves the old one). A file
 * that is right already is not touched, so that nobody who watches it is woken. Returns whether it was written.
 */
export function writeFileIfChanged(path: string, content: string | Buffer, mode: number): boolean {
  const wanted = Buffer.from(content);
  try {
    if (readFileSync(path).equals(wanted)) {
      if ((statSync(path).mode & 0o7777) !== mode) chmodSync(path, mode);
      return false;
    }
  } catch {
    // Not there, or no file: written anew.
  }
  mkdirSync(dirname(path), { recursive: true });
  const temporary = `${path}.new`;
  try {
    writeFileSync(temporary, wanted, { mode });
    chmodSync(temporary, mode);
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  return true;
}

/** Undefined when the file cannot be read. */
export function readIfPresent(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** Undefined when there is no such file or it is not JSON, such as after a crash. */
export function readJson<T>(path: string): T | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as T;
  } catch {
    return undefined;
  }
}

export function sha256(content: string | Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}
