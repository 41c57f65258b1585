import { brakeOf } from '../brake.ts';
import { compare } from '../order.ts';
import { hasQuorum } from '../quorum.ts';
import { plannerDefaults } from '../types.ts';
import type { PlacementInput } from './scene.ts';

/** Hosts lost for so long that what can move from them moves, once the brake and etcd's quorum agree. */
export function givenUpHosts(input: PlacementInput): Set<string> {
  const options = { ...plannerDefaults, ...input.options };
  if (brakeOf(input.hosts, options).on || !etcdAnswers(input)) return new Set();
  return new Set(
    input.hosts
      .filter((h) => h.state === 'disconnected' && h.lastSeenMs !== null)
      .filter((h) => input.now - h.lastSeenMs! >= options.hostsReplaceAfterMs)
      .map((h) => h.id)
      .sort(compare),
  );
}

/** A control plane is of no use without etcd: it is moved only while a majority of the members answers. */
function etcdAnswers(input: PlacementInput): boolean {
  const etcd = new Set(input.services.filter((s) => s.placement === 'etcd').map((s) => s.name));
  const connected = new Set(input.hosts.filter((h) => h.state === 'active').map((h) => h.id));
  const healthy = new Set(input.observed.filter((o) => o.health === 'healthy').map((o) => o.id));
  const members = (input.parent?.instances ?? []).filter((i) => etcd.has(i.service));
  return hasQuorum(members.map((m) => ({ id: m.id, healthy: connected.has(m.hostId) && healthy.has(m.id) })));
}
