import { kernelNames } from '@rancher/domain';
import { must, run } from '../run.ts';
import type { Desired, LocalAddress, Overlay } from './desired.ts';

const { overlayLink, routeProtocol: protocol } = kernelNames;
const vxlanId = 1;

interface KernelAddresses {
  ifname: string;
  mtu: number;
  addr_info: { local: string; prefixlen: number; scope: string }[];
}

/** This host's own addresses. Not out of /sys, which may be that of another network namespace. */
export async function localAddresses(): Promise<LocalAddress[]> {
  const links = JSON.parse(await must('ip', ['-j', '-4', 'address', 'show', 'up'])) as KernelAddresses[];
  return links
    .filter(({ ifname }) => ifname !== 'lo' && ifname !== overlayLink)
    .flatMap(({ ifname, mtu, addr_info }) =>
      addr_info.map(({ local, prefixlen }) => ({ link: ifname, address: local, prefix: prefixlen, mtu })),
    );
}

/**
 * Makes the kernel's state be as desired, changing only what differs: what leads to a living host is never taken away in
 * between. Gives what was changed, in iproute2's words.
 * @throws Error with what the kernel refused; the rest is done all the same.
 */
export async function applyRoutes(desired: Desired, vxlanPort: number): Promise<string[]> {
  const changed = await applyOverlay(desired.overlay, vxlanPort);
  const changes = routeChanges(desired.routes, await currentRoutes());
  await batch('ip', changes);
  // Last, as the routes through it are gone by now.
  if (desired.overlay === undefined) changed.push(...(await removeOverlay()));
  return [...changed, ...changes];
}

interface KernelRoute {
  type?: string;
  dst: string;
  gateway?: string;
  dev?: string;
  prefsrc?: string;
  flags?: string[];
}

async function currentRoutes(): Promise<Map<string, string>> {
  const text = await must('ip', ['-j', '-4', 'route', 'show', 'proto', String(protocol)]);
  const routes = JSON.parse(text || '[]') as KernelRoute[];
  return new Map(
    routes.map((route) => {
      const dst = route.dst.includes('/') ? route.dst : `${route.dst}/32`;
      if (route.type === 'unreachable') return [dst, 'unreachable'];
      const onlink = route.flags?.includes('onlink') ? ' onlink' : '';
      const source = route.prefsrc === undefined ? '' : ` src ${route.prefsrc}`;
      const dead = route.flags?.includes('linkdown') || route.flags?.includes('dead') ? ' dead' : '';
      return [dst, `via ${route.gateway} dev ${route.dev}${onlink}${source}${dead}`];
    }),
  );
}

/** Pure: from what is to what must be. */
export function routeChanges(
  wanted: ReadonlyMap<string, string>,
  current: ReadonlyMap<string, string>,
): string[] {
  const gone = [...current.keys()].filter((dst) => !wanted.has(dst));
  const made = [...wanted].filter(([dst, rest]) => current.get(dst)?.replace(/ dead$/, '') !== rest);
  return [
    ...gone.map((dst) =>
      current.get(dst) === 'unreachable'
        ? `route del unreachable ${dst} proto ${protocol}`
        : `route del ${dst} proto ${protocol}`,
    ),
    ...made.map(([dst, rest]) =>
      rest === 'unreachable'
        ? `route replace unreachable ${dst} proto ${protocol}`
        : `route replace ${dst} ${rest} proto ${protocol}`,
    ),
  ];
}

async function applyOverlay(overlay: Overlay | undefined, port: number): Promise<string[]> {
  if (overlay === undefined) return [];
  const changes = await linkChanges(overlay, port);
  await batch('ip', changes);
  const neighbours = mapChanges(overlay.neighbours, await currentNeighbours());
  const forwarding = mapChanges(overlay.forwarding, await currentForwarding());
  const { link } = overlay;
  const ip = [
    ...neighbours.gone.map((address) => `neigh del ${address} dev ${link}`),
    ...neighbours.made.map(
      ([address, mac]) => `neigh replace ${address} lladdr ${mac} dev ${link} nud permanent`,
    ),
  ];
  const bridge = [
    ...forwarding.gone.map((mac) => `fdb del ${mac} dev ${link} self`),
    ...forwarding.made.map(([mac, host]) => `fdb replace ${mac} dev ${link} dst ${host} self permanent`),
  ];
  await Promise.all([batch('ip', ip), batch('bridge', bridge)]);
  return [...changes, ...ip, ...bridge];
}

interface KernelLink {
  address: string;
  mtu: number;
  flags: string[];
  linkinfo?: { info_data?: { id: number; local?: string; port: number; learning?: boolean } };
}

async function linkChanges(overlay: Overlay, port: number): Promise<string[]> {
  const { link, mac, mtu, address } = overlay;
  const local = hostOf(mac);
  const shown = await run('ip', ['-j', '-d', 'link', 'show', 'dev', link]);
  const now = shown.code === 0 ? (JSON.parse(shown.stdout) as KernelLink[])[0] : undefined;
  const data = now?.linkinfo?.info_data;
  const same = now?.address === mac && data?.id === vxlanId && data.port === port && data.local === local;
  const addressLine = `address replace ${address}/32 dev ${link}`;
  if (same) {
    const up = now.mtu === mtu && now.flags.includes('UP') ? [] : [`link set ${link} mtu ${mtu} up`];
    return (await hasOnlyAddress(link, address)) ? up : [...up, `address flush dev ${link}`, addressLine];
  }
  return [
    ...(now === undefined ? [] : [`link del ${link}`]),
    `link add ${link} address ${mac} mtu ${mtu} type vxlan id ${vxlanId} local ${local} dstport ${port} nolearning`,
    addressLine,
    `link set ${link} up`,
  ];
}

/** The host whose hardware address on the overlay this is. */
function hostOf(mac: string): string {
  return mac
    .split(':')
    .slice(2)
    .map((byte) => Number.parseInt(byte, 16))
    .join('.');
}

async function hasOnlyAddress(link: string, address: string): Promise<boolean> {
  const text = await must('ip', ['-j', '-4', 'address', 'show', 'dev', link]);
  const found = (JSON.parse(text) as { addr_info?: { local: string }[] }[]).flatMap((l) => l.addr_info ?? []);
  return found.length === 1 && found[0]?.local === address;
}

async function currentNeighbours(): Promise<Map<string, string>> {
  const text = await must('ip', ['-j', '-4', 'neigh', 'show', 'dev', overlayLink, 'nud', 'permanent']);
  const entries = JSON.parse(text || '[]') as { dst: string; lladdr?: string }[];
  return new Map(entries.map(({ dst, lladdr }) => [dst, lladdr ?? '']));
}

async function currentForwarding(): Promise<Map<string, string>> {
  const text = await must('bridge', ['-j', 'fdb', 'show', 'dev', overlayLink]);
  const entries = JSON.parse(text || '[]') as { mac: string; dst?: string }[];
  return new Map(entries.filter(({ dst }) => dst !== undefined).map(({ mac, dst }) => [mac, dst!]));
}

function mapChanges(wanted: ReadonlyMap<string, string>, current: ReadonlyMap<string, string>) {
  return {
    gone: [...current.keys()].filter((key) => !wanted.has(key)),
    made: [...wanted].filter(([key, value]) => current.get(key) !== value),
  };
}

async function removeOverlay(): Promise<string[]> {
  const { code } = await run('ip', ['link', 'show', 'dev', overlayLink]);
  if (code !== 0) return [];
  await must('ip', ['link', 'del', overlayLink]);
  return [`link del ${overlayLink}`];
}

/** All lines are tried; the error names those that failed. */
async function batch(program: 'ip' | 'bridge', lines: readonly string[]): Promise<void> {
  if (lines.length === 0) return;
  await must(program, ['-force', '-batch', '-'], `${lines.join('\n')}\n`);
}
