import { readFileSync, statSync } from 'node:fs';
import type { Metadata } from '@rancher/domain';
import type { ClusterZone } from './zone/cluster-zone.ts';

const lookMs = 1000;

/**
 * Rancher's own names: `<service>.<stack>.<domain>` has the addresses of the hosts that run a healthy instance of the
 * service. One without any exists, and has none.
 */
export function ownNames(metadata: Metadata, domain: string): Map<string, string[]> {
  const addresses = new Map(metadata.hosts.map((host) => [host.id, host.address]));
  const stacks = new Map(metadata.stacks.map((stack) => [stack.id, stack.name]));
  return new Map(
    metadata.services.map(({ id, name, stackId }): [string, string[]] => [
      `${name}.${stacks.get(stackId) ?? 'unknown'}.${domain}`.toLowerCase(),
      metadata.instances
        .filter((i) => i.serviceId === id && i.state === 'running' && i.health === 'healthy')
        .flatMap((i) => addresses.get(i.hostId) ?? []),
    ]),
  );
}

/** Keeps these names like the file that the host's agent writes. Looked at each second; what was last known stands. */
export function followOwnNames(
  { domain, path }: { domain: string; path: string },
  zone: ClusterZone,
  log: (message: string) => void,
): () => void {
  let seen = '';
  function look(): void {
    const stat = statSync(path, { throwIfNoEntry: false });
    const stamp = stat === undefined ? '' : `${stat.ino} ${stat.mtimeMs} ${stat.size}`;
    if (stat === undefined || stamp === seen) return;
    seen = stamp;
    try {
      zone.setOwnNames(ownNames(JSON.parse(readFileSync(path, 'utf8')) as Metadata, domain));
      zone.flush();
    } catch (error) {
      log(`${path}: ${(error as Error).message}`);
    }
  }
  look();
  const timer = setInterval(look, lookMs);
  return () => clearInterval(timer);
}
