/** What is kept of Pods, Namespaces and NetworkPolicies: only what decides who may reach whom. */
import { type LabelSelector, type Selector, selectorOf } from './selector.ts';

export type Protocol = 'TCP' | 'UDP' | 'SCTP';

export interface Pod {
  uid: string;
  namespace: string;
  name: string;
  labels: Record<string, string>;
  /** Addresses it has in the pod network; none yet, or none any more, is an empty list. */
  addresses: string[];
  /** Its containers' named ports. */
  ports: NamedPort[];
  /** Name of its Node. */
  node: string;
}

export function podKey({ namespace, name }: { namespace: string; name: string }): string {
  return `${namespace}/${name}`;
}

export interface NamedPort {
  name: string;
  protocol: Protocol;
  port: number;
}

export interface Namespace {
  name: string;
  labels: Record<string, string>;
}

export interface Policy {
  namespace: string;
  name: string;
  /** The pods of its namespace that it is about. */
  pods: Selector;
  /** What may come in; absent: says nothing of this direction. An empty list lets nothing in. */
  ingress?: PolicyRule[];
  egress?: PolicyRule[];
}

/** Lets through what matches one of `peers` and one of `ports`; null: any. */
export interface PolicyRule {
  peers: Peer[] | null;
  ports: PolicyPort[] | null;
}

export type Peer =
  | { kind: 'pods'; namespaces: { name: string } | { selector: Selector }; pods: Selector }
  | { kind: 'block'; cidr: string; except: string[] };

export type PolicyPort = { protocol: Protocol } & (
  | { kind: 'any' }
  | { kind: 'range'; from: number; to: number }
  | { kind: 'named'; name: string }
);

interface ObjectMeta {
  uid?: string;
  name: string;
  namespace?: string;
  labels?: Record<string, string>;
}

interface Container {
  ports?: { name?: string; containerPort: number; protocol?: string }[];
  restartPolicy?: string;
}

/** A Pod as the API tells it, as far as this package reads it. */
export interface PodObject {
  metadata: ObjectMeta;
  spec: { nodeName?: string; hostNetwork?: boolean; containers?: Container[]; initContainers?: Container[] };
  status?: { phase?: string; podIP?: string; podIPs?: { ip: string }[] };
}

export interface NamespaceObject {
  metadata: ObjectMeta;
}

interface PeerObject {
  podSelector?: LabelSelector;
  namespaceSelector?: LabelSelector;
  ipBlock?: { cidr: string; except?: string[] };
}

interface PortObject {
  protocol?: string;
  port?: number | string;
  endPort?: number;
}

/** A NetworkPolicy of `networking.k8s.io/v1`. */
export interface PolicyObject {
  metadata: ObjectMeta;
  spec?: {
    podSelector?: LabelSelector;
    policyTypes?: string[];
    ingress?: { from?: PeerObject[]; ports?: PortObject[] }[];
    egress?: { to?: PeerObject[]; ports?: PortObject[] }[];
  };
}

/**
 * A pod of the pod network; null for one that has no part in it: not on a Node yet, or in its host's network, where its
 * address is the host's and no policy applies (as nearly every implementation has it).
 */
export function podOf(object: PodObject): Pod | null {
  const { metadata, spec, status } = object;
  if (spec.nodeName === undefined || spec.hostNetwork === true) return null;
  // Its address may be another pod's as soon as it has ended.
  const ended = status?.phase === 'Succeeded' || status?.phase === 'Failed';
  const addresses = (status?.podIPs ?? []).map((each) => each.ip);
  if (addresses.length === 0 && status?.podIP) addresses.push(status.podIP);
  return {
    uid: metadata.uid ?? '',
    namespace: metadata.namespace ?? 'default',
    name: metadata.name,
    labels: metadata.labels ?? {},
    addresses: ended ? [] : addresses,
    ports: namedPorts(spec),
    node: spec.nodeName,
  };
}

/** Those of its containers, and of the init containers that run beside them. */
function namedPorts(spec: PodObject['spec']): NamedPort[] {
  const sidecars = (spec.initContainers ?? []).filter((c) => c.restartPolicy === 'Always');
  return [...(spec.containers ?? []), ...sidecars].flatMap((container) =>
    (container.ports ?? []).flatMap(({ name, containerPort, protocol }) =>
      name ? [{ name, protocol: protocolOf(protocol), port: containerPort }] : [],
    ),
  );
}

export function namespaceOf(object: NamespaceObject): Namespace {
  return { name: object.metadata.name, labels: object.metadata.labels ?? {} };
}

export function policyOf(object: PolicyObject): Policy {
  const { metadata, spec = {} } = object;
  const namespace = metadata.namespace ?? 'default';
  // The API's own default: ingress always, egress where there are rules of it.
  const types = spec.policyTypes ?? ['Ingress', ...(spec.egress === undefined ? [] : ['Egress'])];
  const rule = (peers: PeerObject[] | undefined, ports: PortObject[] | undefined): PolicyRule => ({
    peers: peers === undefined || peers.length === 0 ? null : peers.map((peer) => peerOf(peer, namespace)),
    ports: ports === undefined || ports.length === 0 ? null : ports.map(portOf),
  });
  return {
    namespace,
    name: metadata.name,
    pods: selectorOf(spec.podSelector ?? {}),
    ...(types.includes('Ingress') ? { ingress: (spec.ingress ?? []).map((r) => rule(r.from, r.ports)) } : {}),
    ...(types.includes('Egress') ? { egress: (spec.egress ?? []).map((r) => rule(r.to, r.ports)) } : {}),
  };
}

function peerOf(peer: PeerObject, namespace: string): Peer {
  if (peer.ipBlock) return { kind: 'block', cidr: peer.ipBlock.cidr, except: peer.ipBlock.except ?? [] };
  return {
    kind: 'pods',
    namespaces: peer.namespaceSelector
      ? { selector: selectorOf(peer.namespaceSelector) }
      : { name: namespace },
    pods: selectorOf(peer.podSelector ?? {}),
  };
}

function portOf({ protocol: told, port, endPort }: PortObject): PolicyPort {
  const protocol = protocolOf(told);
  if (port === undefined) return { kind: 'any', protocol };
  if (typeof port === 'string') return { kind: 'named', protocol, name: port };
  return { kind: 'range', protocol, from: port, to: endPort ?? port };
}

function protocolOf(told: string | undefined): Protocol {
  return told === 'UDP' || told === 'SCTP' ? told : 'TCP';
}
