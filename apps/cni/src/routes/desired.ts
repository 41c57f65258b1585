import { type Cidr, cidrContains, kernelNames, nthAddress, parseCidr } from '@rancher/domain';

/** What is known of a Node that pods may be on. */
export interface Node {
  name: string;
  /** Where other hosts reach it. */
  address: string;
  /** Block of its pods. */
  podCidr: string;
}

/** An address of this host with its prefix, and the link that has it. */
export interface LocalAddress {
  link: string;
  address: string;
  prefix: number;
  /** Largest packet of the link, in bytes. */
  mtu: number;
}

/** The state of the kernel that leads packets to the pods of other hosts. Entries are as iproute2 takes them. */
export interface Desired {
  /** Largest packet of a pod that is connected now, in bytes. */
  mtu: number;
  /** Destination → the rest of the route. */
  routes: Map<string, string>;
  /** Undefined when every other host is on one of this host's links. */
  overlay?: Overlay;
}

export interface Overlay {
  link: string;
  mac: string;
  /** The address that this host's own packets over it come from. */
  address: string;
  mtu: number;
  /** Address on the overlay → hardware address. */
  neighbours: Map<string, string>;
  /** Hardware address → the host that has it. */
  forwarding: Map<string, string>;
}

/** What VXLAN over IPv4 adds to a packet: Ethernet 14, IPv4 20, UDP 8, VXLAN 8 (RFC 7348). */
const overlayBytes = 50;
const defaultMtu = 1500;

interface Situation {
  podCidr: string;
  self: { name: string; address: string };
  nodes: readonly Node[];
  addresses: readonly LocalAddress[];
}

/**
 * Which routes this host must have, from the Nodes: directly to hosts on one of its own links, else through VXLAN. Pod
 * addresses that no host has are unreachable at once, instead of leaving by the default route.
 *
 * Hardware addresses of the overlay follow from the hosts' addresses, so that nothing need be learned nor told.
 */
export function desiredRoutes({ podCidr, self, nodes, addresses }: Situation): Desired {
  const underlay = addresses.find((a) => a.address === self.address);
  const linkMtu = underlay?.mtu ?? defaultMtu;
  const own = nodes.find((node) => node.name === self.name);
  const routes = new Map([[podCidr, 'unreachable']]);
  const distant: Node[] = [];
  for (const node of nodes) {
    if (node.name === self.name) continue;
    const link = addresses.find((a) => cidrContains(networkOf(a), node.address))?.link;
    if (link === undefined) distant.push(node);
    else routes.set(node.podCidr, `via ${node.address} dev ${link}`);
  }
  if (distant.length === 0 || own === undefined) return { mtu: linkMtu, routes };
  const mtu = linkMtu - overlayBytes;
  const source = overlayAddress(own);
  for (const node of distant)
    routes.set(
      node.podCidr,
      `via ${overlayAddress(node)} dev ${kernelNames.overlayLink} onlink src ${source}`,
    );
  const overlay: Overlay = {
    link: kernelNames.overlayLink,
    mac: overlayMac(self.address),
    address: source,
    mtu,
    neighbours: new Map(distant.map((node) => [overlayAddress(node), overlayMac(node.address)])),
    forwarding: new Map(distant.map((node) => [overlayMac(node.address), node.address])),
  };
  return { mtu, routes, overlay };
}

/** The first address of a host's block, which no pod gets. */
function overlayAddress(node: Node): string {
  return nthAddress(parseCidr(node.podCidr), 0);
}

/** Locally administered (second bit of the first byte), with the host's IPv4 address as its end. */
function overlayMac(address: string): string {
  const bytes = address.split('.').map((part) => Number(part).toString(16).padStart(2, '0'));
  return `0a:72:${bytes.join(':')}`;
}

/** The network that an address of this host is in. */
function networkOf({ address, prefix }: LocalAddress): Cidr {
  const { base } = parseCidr(`${address}/32`);
  return { base: base - (base % 2 ** (32 - prefix)), prefix, text: `${address}/${prefix}` };
}
