/** Rulesets as commands of `nft -f`: the whole, or only what changed. Each script is one transaction. */
import { kernelNames } from '@rancher/domain';
import { type Family, families, familyOf } from './address.ts';
import {
  type Chain,
  chainOf,
  directions,
  type ElementKind,
  type ElementSet,
  mapName,
  mapNames,
  type Rule,
  type Ruleset,
} from './ruleset.ts';

export const table = `inet ${kernelNames.policyTable}`;

/** What a host's ruleset depends on besides policies. */
export interface Surroundings {
  /** Addresses of the host that are judged like pods: the cluster DNS. All other traffic of a pod with its host passes. */
  judged: string[];
}

/** Replaces whatever the table holds, at once: there is no moment without rules. */
export function replaceScript(ruleset: Ruleset, surroundings: Surroundings): string {
  return [
    `add table ${table}`,
    `delete table ${table}`,
    `add table ${table}`,
    ...families.map((f) => `add set ${table} judged${f} { type ${addressType(f)}; }`),
    ...families.flatMap((f) =>
      elementCommands(
        'add',
        `judged${f}`,
        surroundings.judged.filter((address) => familyOf(address) === f),
      ),
    ),
    ...mapNames.map(
      (name) => `add map ${table} ${name} { type ${addressType(name.endsWith('4') ? 4 : 6)} : verdict; }`,
    ),
    ...addSets([...ruleset.sets.values()]),
    ...addChains([...ruleset.chains.values()]),
    ...mapNames.flatMap((name) => elementCommands('add', name, [...ruleset.maps[name]].map(mapElement))),
    ...baseChains(),
    '',
  ].join('\n');
}

/** Leads from one ruleset to another; empty where they are the same. */
export function changeScript(from: Ruleset, to: Ruleset): string {
  const added = <T>(a: Map<string, T>, b: Map<string, T>) =>
    [...b].flatMap(([k, v]) => (a.has(k) ? [] : [v]));
  const commands = [
    ...addSets(added(from.sets, to.sets)),
    ...[...to.sets.values()].flatMap((set) => setChanges(from.sets.get(set.name), set)),
    ...addChains(added(from.chains, to.chains)),
    ...mapNames.flatMap((name) => mapChanges(name, from.maps[name], to.maps[name])),
    ...added(to.chains, from.chains).flatMap(({ name }) => [`flush chain ${table} ${name}`]),
    ...added(to.chains, from.chains).map(({ name }) => `delete chain ${table} ${name}`),
    ...added(to.sets, from.sets).map(({ name }) => `delete set ${table} ${name}`),
  ];
  return commands.length === 0 ? '' : `${commands.join('\n')}\n`;
}

/**
 * Closes an address in both directions, whatever else a table written by {@link replaceScript} holds: scripts to be tried
 * in order, the first for an address that the maps hold already.
 */
export function closeScripts(address: string): string[] {
  const family = familyOf(address);
  const elements = directions.map(
    (direction) => `element ${table} ${mapName(direction, family)} { ${address}`,
  );
  const add = directions.map(
    (direction, i) => `add ${elements[i]} : jump ${chainOf(direction, family, []).name} }\n`,
  );
  return [[...elements.map((element) => `delete ${element} }\n`), ...add].join(''), add.join('')];
}

const elementTypes: Record<ElementKind, (family: Family) => string> = {
  address: addressType,
  range: (family) => `${addressType(family)}; flags interval`,
  pair: (family) => `${addressType(family)} . ${addressType(family)}`,
  port: (family) => `${addressType(family)} . inet_service`,
};

function addressType(family: Family): string {
  return family === 4 ? 'ipv4_addr' : 'ipv6_addr';
}

function addSets(sets: ElementSet[]): string[] {
  return sets.flatMap((set) => [
    `add set ${table} ${set.name} { type ${elementTypes[set.kind](set.family)}; }`,
    ...elementCommands('add', set.name, [...set.elements]),
  ]);
}

function setChanges(from: ElementSet | undefined, to: ElementSet): string[] {
  if (from === undefined || from.elements === to.elements) return [];
  return [
    ...elementCommands(
      'delete',
      to.name,
      [...from.elements].filter((e) => !to.elements.has(e)),
    ),
    ...elementCommands(
      'add',
      to.name,
      [...to.elements].filter((e) => !from.elements.has(e)),
    ),
  ];
}

/** An address that changes its chain is taken out and put in again: in one transaction nobody sees it missing. */
function mapChanges(name: string, from: Map<string, string>, to: Map<string, string>): string[] {
  const gone = [...from].filter(([address, chain]) => to.get(address) !== chain);
  const come = [...to].filter(([address, chain]) => from.get(address) !== chain);
  return [
    ...elementCommands(
      'delete',
      name,
      gone.map(([address]) => address),
    ),
    ...elementCommands('add', name, come.map(mapElement)),
  ];
}

function mapElement([address, chain]: [string, string]): string {
  return `${address} : jump ${chain}`;
}

function elementCommands(verb: 'add' | 'delete', name: string, elements: string[]): string[] {
  return elements.length === 0 ? [] : [`${verb} element ${table} ${name} { ${elements.join(', ')} }`];
}

function addChains(chains: Chain[]): string[] {
  return chains.flatMap((chain) => [
    `add chain ${table} ${chain.name}`,
    ...chain.rules.flatMap((rule) =>
      ruleTexts(rule, chain).map((text) => `add rule ${table} ${chain.name} ${text}return`),
    ),
    `add rule ${table} ${chain.name} drop`,
  ]);
}

/**
 * The expressions of a rule, a text for each range of ports. In the words of conntrack: `original saddr` opened the
 * connection, `reply saddr` and `reply proto-src` are whom and which port it led to in the end.
 */
function ruleTexts({ protocol, ports, set }: Rule, { direction, family }: Chain): string[] {
  const ip = family === 4 ? 'ip' : 'ip6';
  const peer = direction === 'ingress' ? `ct original ${ip} saddr` : `ct reply ${ip} saddr`;
  const withPort = set?.kind === 'port' ? ' . ct reply proto-src' : '';
  const address = set === undefined ? '' : `${peer}${withPort} @${set.name} `;
  const head = `${protocol === undefined ? '' : `meta l4proto ${protocol.toLowerCase()} `}${address}`;
  if (ports === undefined) return [head];
  return ports.map(({ from, to }) => `${head}ct reply proto-src ${from === to ? from : `${from}-${to}`} `);
}

/**
 * Where packets come in. A pod and its own host always reach each other (NetworkPolicy API), save for what is `judged`:
 * so nothing stands in `output`, and in `input` no more than that. What belongs to no connection that conntrack knows is
 * let through to and from pods that are not isolated only; neighbour discovery always.
 */
function baseChains(): string[] {
  const rule = (chain: string, text: string) => `add rule ${table} ${chain} ${text}`;
  const each = (text: (ip: string, family: Family) => string) =>
    families.map((f) => text(f === 4 ? 'ip' : 'ip6', f));
  return [
    `add chain ${table} stray`,
    rule(
      'stray',
      'icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit, nd-router-advert } accept',
    ),
    ...each((ip, f) => rule('stray', `${ip} saddr vmap @egress${f}`)),
    ...each((ip, f) => rule('stray', `${ip} daddr vmap @ingress${f}`)),
    `add chain ${table} forward { type filter hook forward priority filter - 10; policy accept; }`,
    rule('forward', 'ct state related accept'),
    rule('forward', 'ct state { invalid, untracked } goto stray'),
    ...each((ip, f) => rule('forward', `ct original ${ip} saddr . ct reply ${ip} saddr @self${f} accept`)),
    ...each((ip, f) => rule('forward', `ct original ${ip} saddr vmap @egress${f}`)),
    ...each((ip, f) => rule('forward', `ct reply ${ip} saddr vmap @ingress${f}`)),
    `add chain ${table} input { type filter hook input priority filter - 10; policy accept; }`,
    ...each((ip, f) =>
      rule('input', `ct reply ${ip} saddr @judged${f} ct original ${ip} saddr vmap @egress${f}`),
    ),
  ];
}
