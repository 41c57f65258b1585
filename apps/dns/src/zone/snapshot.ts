import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import type { EndpointSlice, Service } from './objects.ts';

/** The objects that names are made of, as they were last seen. */
export interface Snapshot {
  services: [string, Service][];
  slices: [string, EndpointSlice][];
  namespaces: string[];
}

const version = 1;

/** What was kept; undefined where there is nothing, or nothing that this version can read. */
export function readSnapshot(path: string): Snapshot | undefined {
  try {
    const { version: found, ...snapshot } = JSON.parse(readFileSync(path, 'utf8')) as Snapshot & {
      version: number;
    };
    const lists = [snapshot.services, snapshot.slices, snapshot.namespaces];
    return found === version && lists.every(Array.isArray) ? snapshot : undefined;
  } catch {
    return undefined;
  }
}

/** Whoever reads it meanwhile, or after a crash, finds the old one or the new one. @throws Error such as for a full disk */
export function writeSnapshot(path: string, snapshot: Snapshot): void {
  const temporary = `${path}.new`;
  try {
    writeFileSync(temporary, JSON.stringify({ version, ...snapshot }), { mode: 0o600 });
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}
