import { existsSync } from 'node:fs';
import { cidrContains, nthAddress, overlaps, parseCidr } from '@rancher/domain';
import { defaultInterface } from '../facts.ts';
import { readIfPresent, readJson, writeFileIfChanged } from '../files.ts';
import { run, tryRun } from '../run.ts';
import { bridgeMac, bridgeName, netnsPrefix, networkFile, nftTable } from './names.ts';
import { raiseSysctls, restoreSysctls, sysctlsRaised } from './sysctls.ts';

export interface Bridge {
  name: string;
  /** The machine's own address on it, where the API listens for local hosts. */
  address: string;
  subnet: string;
}

/**
 * Makes the installation's network on the machine be there: a bridge with an address in a subnet that is kept in
 * `<home>/network.json`, forwarding and the kernel's other limits, and masquerading to the outside by an nft table of its own. Idempotent; needs root.
 * @throws Error when no subnet is free, or one of the kernel's features is missing.
 */
export async function ensureBridge(home: string, options: { subnet?: string } = {}): Promise<Bridge> {
  const kept = readJson<{ subnet: string }>(networkFile(home))?.subnet;
  const subnet = kept ?? options.subnet ?? freeSubnet(await usedSubnets());
  if (kept === undefined) writeFileIfChanged(networkFile(home), JSON.stringify({ subnet }), 0o644);
  const bridge = { name: bridgeName(home), address: nthAddress(parseCidr(subnet), 1), subnet };
  if (!existsSync(`/sys/class/net/${bridge.name}`)) {
    await run('ip', ['link', 'add', 'name', bridge.name, 'address', bridgeMac(home), 'type', 'bridge']);
  }
  const prefix = parseCidr(subnet).prefix;
  await run(
    'ip',
    ['-batch', '-'],
    [
      `link set ${bridge.name} mtu ${outsideMtu()} up`,
      `address replace ${bridge.address}/${prefix} dev ${bridge.name}`,
    ].join('\n'),
  );
  raiseSysctls();
  await run('nft', ['-f', '-'], masquerading(nftTable(home), subnet));
  await throughDocker('-I', bridge.name);
  return bridge;
}

/** Whether the bridge is there and the machine forwards: a cheap look. */
export function isBridgeUp({ name }: Bridge): boolean {
  return existsSync(`/sys/class/net/${name}`) && sysctlsRaised();
}

/** Removes what {@link ensureBridge} made, but for the choice of the subnet. */
export async function removeBridge(home: string): Promise<void> {
  const name = bridgeName(home);
  await throughDocker('-D', name);
  if (existsSync(`/sys/class/net/${name}`)) await run('ip', ['link', 'delete', name]);
  await tryRun('nft', ['delete', 'table', 'ip', nftTable(home)]);
  const others = (await run('ip', ['-brief', 'link', 'show', 'type', 'bridge'])).match(
    /^rancher[0-9a-f]{8}\b/gm,
  );
  if (others === null) restoreSysctls();
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

/** Local hosts send frames no larger than what the machine's way out takes. */
export function outsideMtu(): number {
  const name = defaultInterface(readIfPresent('/proc/net/route') ?? '');
  const mtu = name === undefined ? Number.NaN : Number(readIfPresent(`/sys/class/net/${name}/mtu`));
  return Number.isFinite(mtu) && mtu >= 1280 ? Math.min(1500, mtu) : 1500;
}

async function usedSubnets(): Promise<string[]> {
  const routes = await run('ip', ['-4', 'route', 'show', 'table', 'all']);
  return routes
    .split('\n')
    .map((line) => line.replace(/^(unicast|local|broadcast) /, '').split(' ')[0] ?? '')
    .filter((target) => /^[\d.]+(\/\d+)?$/.test(target))
    .map((target) => (target.includes('/') ? target : `${target}/32`));
}

function masquerading(table: string, subnet: string): string {
  return `table ip ${table}
delete table ip ${table}
table ip ${table} {
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr ${subnet} ip daddr != ${subnet} masquerade
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
