import { existsSync } from 'node:fs';
import { cidrContains, defaultHostNetwork, nthAddress, overlaps, parseCidr } from '@rancher/domain';
import { defaultInterface } from '../facts.ts';
import { readIfPresent } from '../files.ts';
import { run, tryRun } from '../run.ts';
import { bridgeMac, bridgeName, isBridgeOf, netnsPrefix, nftTable } from './names.ts';
import { keepNetwork, knownNetworks, type Network } from './networks.ts';
import { raiseSysctls, restoreSysctls, sysctlsRaised } from './sysctls.ts';

/** A network that is there. */
export interface Bridge extends Network {
  /** Name of the interface. */
  link: string;
  /** The machine's own address on it; on the first network the API listens there for local hosts. */
  address: string;
}

/**
 * Makes a network of the installation be there on the machine: a bridge with an address in a subnet that is kept in
 * `<home>/network.json`, forwarding and the kernel's other limits, and masquerading to the outside by an nft table of its
 * own; between its networks hosts keep their addresses. Idempotent; needs root.
 * @throws Error when no subnet is free, or one of the kernel's features is missing.
 */
export async function ensureBridge(
  home: string,
  { name = defaultHostNetwork, subnet }: { name?: string; subnet?: string } = {},
): Promise<Bridge> {
  const network = await keepNetwork(home, name, async () => subnet ?? freeSubnet(await usedSubnets(home)));
  const bridge = bridgeOf(home, network);
  const { link, address, index } = bridge;
  if (!existsSync(`/sys/class/net/${link}`)) {
    await run('ip', ['link', 'add', 'name', link, 'address', bridgeMac(home, index), 'type', 'bridge']);
  }
  const { prefix } = parseCidr(network.subnet);
  await run(
    'ip',
    ['-batch', '-'],
    [`link set ${link} mtu ${linkMtu} up`, `address replace ${address}/${prefix} dev ${link}`].join('\n'),
  );
  raiseSysctls();
  const links = knownNetworks(home).map((known) => bridgeOf(home, known).link);
  await run('nft', ['-f', '-'], rules(nftTable(home), links, outsideMtu()));
  await throughDocker('-I', link);
  return bridge;
}

function bridgeOf(home: string, network: Network): Bridge {
  const address = nthAddress(parseCidr(network.subnet), 1);
  return { ...network, link: bridgeName(home, network.index), address };
}

/** The network of that name, which has been made before. @throws Error when it has not */
export function knownBridge(home: string, name: string = defaultHostNetwork): Bridge {
  const network = knownNetworks(home).find((known) => known.name === name);
  if (network === undefined) throw new Error(`there is no network ${name}`);
  return bridgeOf(home, network);
}

/** Whether the bridge is there and the machine forwards: a cheap look. */
export function isBridgeUp({ link }: Bridge): boolean {
  return existsSync(`/sys/class/net/${link}`) && sysctlsRaised();
}

/** Removes what {@link ensureBridge} made, all networks of the installation, but for the choice of their subnets. */
export async function removeBridges(home: string): Promise<void> {
  const links = await bridgeLinks();
  for (const link of links.filter((name) => isBridgeOf(home, name))) {
    await throughDocker('-D', link);
    await run('ip', ['link', 'delete', link]);
  }
  await tryRun('nft', ['delete', 'table', 'ip', nftTable(home)]);
  const others = links.some(
    (name) => !isBridgeOf(home, name) && /^(rancher[0-9a-f]{8}|rn[0-9a-f]{8}-\d+)$/.test(name),
  );
  if (!others) restoreSysctls();
}

async function bridgeLinks(): Promise<string[]> {
  const text = await run('ip', ['-brief', 'link', 'show', 'type', 'bridge']);
  return text.split('\n').flatMap((line) => line.split(/[\s@]/)[0] || []);
}

/** The first of 172.30.0.0/24 … that overlaps nothing the machine has an address in or a route to. */
export function freeSubnet(used: readonly string[]): string {
  const taken = used.map((cidr) => parseCidr(cidr));
  for (let n = 0; n < 256; n++) {
    const candidate = `172.30.${n}.0/24`;
    if (!taken.some((cidr) => overlaps(cidr, parseCidr(candidate)))) return candidate;
  }
  throw new Error('no free subnet in 172.30.0.0/16: give one as localHosts.subnet');
}

/** The lowest address of the subnet that no host has; the first two are the network's own and the bridge's. */
export function freeAddress(subnet: string, taken: readonly string[]): string {
  const cidr = parseCidr(subnet);
  for (let n = 2; n < 2 ** (32 - cidr.prefix) - 1; n++) {
    const address = nthAddress(cidr, n);
    if (cidrContains(cidr, address) && !taken.includes(address)) return address;
  }
  throw new Error(`no free address in ${subnet}`);
}

/** Largest packet between local hosts, in bytes, whatever the machine's way out takes. */
export const linkMtu = 1500;

/** Largest packet that the machine's way out takes. */
function outsideMtu(): number {
  const name = defaultInterface(readIfPresent('/proc/net/route') ?? '');
  const mtu = name === undefined ? Number.NaN : Number(readIfPresent(`/sys/class/net/${name}/mtu`));
  return Number.isFinite(mtu) && mtu >= 1280 ? Math.min(linkMtu, mtu) : linkMtu;
}

/** What the machine has an address in or a route to, and what other networks of the installation have taken. */
async function usedSubnets(home: string): Promise<string[]> {
  const routes = await run('ip', ['-4', 'route', 'show', 'table', 'all']);
  const kept = knownNetworks(home).map((network) => network.subnet);
  const seen = routes
    .split('\n')
    .map((line) => line.replace(/^(unicast|local|broadcast) /, '').split(' ')[0] ?? '')
    .filter((target) => /^[\d.]+(\/\d+)?$/.test(target))
    .map((target) => (target.includes('/') ? target : `${target}/32`));
  return [...kept, ...seen];
}

/** IPv4 and TCP headers without options. */
const headerBytes = 40;

/**
 * Where the way out takes less than the links of local hosts, TCP is told so on opening, in both directions; all else
 * learns it by the machine's ICMP answers. All of it is by the names of the bridges, not by their subnets: what a killed
 * installation leaves behind must not touch the traffic of the next one, which takes the same subnets (masquerading it
 * between two of its networks makes the checksums of tunnelled TCP wrong).
 */
function rules(table: string, links: readonly string[], mtu: number): string {
  const own = `{ ${links.map((link) => `"${link}"`).join(', ')} }`;
  const segment = `tcp flags & (syn | rst) == syn tcp option maxseg size set ${mtu - headerBytes}`;
  return `table ip ${table}
delete table ip ${table}
table ip ${table} {
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    iifname ${own} oifname != ${own} masquerade
  }
  chain forward {
    type filter hook forward priority mangle; policy accept;
    iifname ${own} oifname != ${own} ${segment}
    iifname != ${own} oifname ${own} ${segment}
  }
}
`;
}

/** Docker drops what is forwarded, but for what this chain, which it leaves to others, accepts before. */
async function throughDocker(action: '-I' | '-D', bridge: string): Promise<void> {
  if (!(await tryRun('iptables', ['-w', '-n', '-L', 'DOCKER-USER']))) return;
  for (const direction of ['-i', '-o']) {
    const rule = [direction, bridge, '-j', 'ACCEPT'];
    const there = await tryRun('iptables', ['-w', '-C', 'DOCKER-USER', ...rule]);
    if (there === (action === '-D')) await tryRun('iptables', ['-w', action, 'DOCKER-USER', ...rule]);
  }
}

/** Names of the installation's network namespaces. */
export async function listNamespaces(home: string): Promise<string[]> {
  const prefix = netnsPrefix(home);
  const listed = await run('ip', ['netns', 'list']);
  return listed
    .split('\n')
    .map((line) => line.split(' ')[0]!)
    .filter((name) => name.startsWith(prefix));
}
