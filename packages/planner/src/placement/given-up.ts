import { brakeOf } from '../brake.ts';
import { hasQuorum } from '../quorum.ts';
import { type PlannerHost, type PlannerService, plannerDefaults } from '../types.ts';
import type { PlacementInput } from './scene.ts';

/** Whether a service gives up its place on a host, for another. */
export type GivesUp = (service: PlannerService, host: PlannerHost) => boolean;

/**
 * A place is given up where a user evacuates the host; and where the host is lost, once the brake and etcd's quorum agree:
 * at once where the service is healthy nowhere, for then it must run elsewhere; a member of etcd after a while; the rest
 * after a long while, as it is likelier that the host returns. Never while others of its environment reach the host: then
 * only the server cannot see it, and what it runs goes on running there.
 */
export function givesUpOf(input: PlacementInput): GivesUp {
  const options = { ...plannerDefaults, ...input.options };
  const held = brakeOf(input.hosts, options).on || !etcdAnswers(input);
  const healthy = healthyServices(input);
  return (service, host) => {
    if (host.evacuated === true) return true;
    if (held || host.state !== 'disconnected' || host.lastSeenMs === null) return false;
    if ((host.reachedBy ?? []).length > 0) return false;
    const silentMs = input.now - host.lastSeenMs;
    if (service.placement === 'etcd') return silentMs >= options.etcdReplaceAfterMs;
    return !healthy.has(service.name) || silentMs >= options.hostsReplaceAfterMs;
  };
}

/** Services that are healthy somewhere that can be seen. */
function healthyServices({ parent, observed, hosts }: PlacementInput): Set<string> {
  const connected = new Set(hosts.filter((h) => h.state === 'active').map((h) => h.id));
  const healthy = new Set(observed.filter((o) => o.health === 'healthy').map((o) => o.id));
  const well = (parent?.instances ?? []).filter((i) => connected.has(i.hostId) && healthy.has(i.id));
  return new Set(well.map((i) => i.service));
}

/** A control plane is of no use without etcd: it is moved only while a majority of the members answers. */
function etcdAnswers(input: PlacementInput): boolean {
  const etcd = new Set(input.services.filter((s) => s.placement === 'etcd').map((s) => s.name));
  const connected = new Set(input.hosts.filter((h) => h.state === 'active').map((h) => h.id));
  const healthy = new Set(input.observed.filter((o) => o.health === 'healthy').map((o) => o.id));
  const members = (input.parent?.instances ?? []).filter((i) => etcd.has(i.service));
  return hasQuorum(members.map((m) => ({ id: m.id, healthy: connected.has(m.hostId) && healthy.has(m.id) })));
}
