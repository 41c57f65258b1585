/**
 * The NetworkPolicy API in the plainest words, read straight from the objects as users write them: what the compiler is
 * held against. Nothing here is shared with it.
 */
import { BlockList, isIPv6 } from 'node:net';
import type { NamespaceObject, PodObject, PolicyObject } from '../objects.ts';

/** One end of a connection: a pod, or an address that is no pod's. */
export type End = { pod: PodObject } | { address: string };

export interface Connection {
  from: End;
  to: End;
  protocol: 'TCP' | 'UDP' | 'SCTP';
  port: number;
}

export interface World {
  policies: PolicyObject[];
  pods: PodObject[];
  namespaces: NamespaceObject[];
}

/** Whether policies let a connection be. */
export function isAllowed(world: World, connection: Connection): boolean {
  const { from, to } = connection;
  if ('pod' in from && 'pod' in to && from.pod === to.pod) return true;
  return sideAllows(world, connection, 'Egress') && sideAllows(world, connection, 'Ingress');
}

export function addressOf(end: End): string {
  return 'pod' in end ? end.pod.status!.podIPs![0]!.ip : end.address;
}

function sideAllows(world: World, connection: Connection, type: 'Ingress' | 'Egress'): boolean {
  const [own, other] =
    type === 'Ingress' ? [connection.to, connection.from] : [connection.from, connection.to];
  if (!('pod' in own)) return true;
  const policies = world.policies.filter(
    (policy) =>
      policy.metadata.namespace === own.pod.metadata.namespace &&
      policy.spec!.policyTypes!.includes(type) &&
      matches(policy.spec!.podSelector, own.pod.metadata.labels ?? {}),
  );
  if (policies.length === 0) return true;
  return policies.some((policy) => {
    const rules =
      type === 'Ingress'
        ? (policy.spec!.ingress ?? []).map((r) => ({ peers: r.from, ports: r.ports }))
        : (policy.spec!.egress ?? []).map((r) => ({ peers: r.to, ports: r.ports }));
    return rules.some(
      (rule) =>
        (!rule.peers?.length ||
          rule.peers.some((peer) => peerMatches(world, policy.metadata.namespace!, peer, other))) &&
        (!rule.ports?.length || rule.ports.some((port) => portMatches(port, connection))),
    );
  });
}

// biome-ignore lint/suspicious/noExplicitAny: objects as users write them
type Any = any;

function peerMatches(world: World, namespace: string, peer: Any, other: End): boolean {
  if (peer.ipBlock) {
    const address = addressOf(other);
    return (
      inBlock(peer.ipBlock.cidr, address) &&
      !(peer.ipBlock.except ?? []).some((e: string) => inBlock(e, address))
    );
  }
  if (!('pod' in other)) return false;
  const where = other.pod.metadata.namespace;
  if (!peer.namespaceSelector && where !== namespace) return false;
  if (peer.namespaceSelector) {
    const labels = world.namespaces.find((n) => n.metadata.name === where)?.metadata.labels ?? {};
    if (!matches(peer.namespaceSelector, labels)) return false;
  }
  return matches(peer.podSelector, other.pod.metadata.labels ?? {});
}

function inBlock(cidr: string, address: string): boolean {
  const [net, prefix] = cidr.split('/') as [string, string];
  // Node takes IPv4 addresses for mapped ones of IPv6.
  if (isIPv6(net) !== isIPv6(address)) return false;
  const list = new BlockList();
  list.addSubnet(net, Number(prefix), isIPv6(net) ? 'ipv6' : 'ipv4');
  return list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
}

function portMatches(port: Any, { to, protocol, port: number }: Connection): boolean {
  if ((port.protocol ?? 'TCP') !== protocol) return false;
  if (port.port === undefined) return true;
  if (typeof port.port === 'number') return number >= port.port && number <= (port.endPort ?? port.port);
  if (!('pod' in to)) return false;
  return to.pod.spec.containers!.some((c) =>
    (c.ports ?? []).some(
      (p) => p.name === port.port && p.containerPort === number && (p.protocol ?? 'TCP') === protocol,
    ),
  );
}

function matches(selector: Any, labels: Record<string, string>): boolean {
  for (const [key, value] of Object.entries(selector?.matchLabels ?? {}))
    if (labels[key] !== value) return false;
  for (const { key, operator, values } of selector?.matchExpressions ?? []) {
    if (operator === 'In' && !(key in labels && values.includes(labels[key]))) return false;
    if (operator === 'NotIn' && key in labels && values.includes(labels[key])) return false;
    if (operator === 'Exists' && !(key in labels)) return false;
    if (operator === 'DoesNotExist' && key in labels) return false;
  }
  return true;
}
