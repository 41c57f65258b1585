import { readFileSync, statSync } from 'node:fs';
import type { ClusterZone } from './zone/cluster-zone.ts';

const lookMs = 1000;

/** Keeps names of ours like the file that the host's agent writes (JSON, name → addresses). Looked at each second. */
export function followOwnNames(path: string, zone: ClusterZone, log: (message: string) => void): () => void {
  let seen = '';
  function look(): void {
    const stat = statSync(path, { throwIfNoEntry: false });
    const stamp = stat === undefined ? '' : `${stat.ino} ${stat.mtimeMs} ${stat.size}`;
    if (stamp === seen) return;
    seen = stamp;
    // A file that is gone takes nothing with it: what was last known stands.
    if (stat === undefined) return;
    try {
      const names = JSON.parse(readFileSync(path, 'utf8')) as Record<string, string[]>;
      zone.setOwnNames(new Map(Object.entries(names)));
      zone.flush();
    } catch (error) {
      log(`${path}: ${(error as Error).message}`);
    }
  }
  look();
  const timer = setInterval(look, lookMs);
  return () => clearInterval(timer);
}
