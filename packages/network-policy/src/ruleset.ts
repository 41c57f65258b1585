/**
 * What is written to nftables, as data. Chains and range sets never change: another content is another name, made of its
 * hash. What changes with pods are the elements of address sets and the maps, so that is all a pod's coming or going
 * writes.
 *
 * Everything is judged by the connection that a packet belongs to: by who opened it, and to whom it led once the address
 * of a Service was translated. Both directions of a connection so get the same answer, and it changes with the policies:
 * a connection that would not be let in any more is cut.
 */
import { createHash } from 'node:crypto';
import { type Family, families } from './address.ts';
import type { Protocol } from './objects.ts';

export type Direction = 'ingress' | 'egress';
export const directions: readonly Direction[] = ['ingress', 'egress'];

export interface PortRange {
  from: number;
  to: number;
}

/** Lets through what matches all that it names. */
export interface Rule {
  protocol?: Protocol;
  /** Disjoint, in order. */
  ports?: PortRange[];
  /** Set that must hold the other side's address, or (kind `port`) its address and the connection's port. */
  set?: { name: string; kind: ElementKind };
}

/** Lets through what one of its rules does, and drops all else. */
export interface Chain {
  name: string;
  direction: Direction;
  family: Family;
  rules: Rule[];
}

/** Holds `<address> . <address>` of each isolated pod: nothing keeps a pod from reaching itself. */
export function selfName(family: Family): string {
  return `self${family}`;
}

/** `pair`: `<address> . <address>`, `port`: `<address> . <port>`; `range` is `<address>` or `<first>-<last>`, disjoint. */
export type ElementKind = 'address' | 'pair' | 'port' | 'range';

export interface ElementSet {
  name: string;
  kind: ElementKind;
  family: Family;
  /** Not changed any more: other elements are another object. */
  elements: ReadonlySet<string>;
}

/** Names of the maps from a pod's address to the chain that it is judged by. */
export const mapNames = ['ingress4', 'ingress6', 'egress4', 'egress6'] as const;
export type MapName = (typeof mapNames)[number];

export interface Ruleset {
  sets: Map<string, ElementSet>;
  chains: Map<string, Chain>;
  /** Pods' addresses → chains. An address that is not there is not isolated in that direction. */
  maps: Record<MapName, Map<string, string>>;
}

export function mapName(direction: Direction, family: Family): MapName {
  return `${direction}${family}`;
}

/** The chain of these rules: in canonical order, named by its content. */
export function chainOf(direction: Direction, family: Family, rules: Rule[]): Chain {
  const byText = new Map(rules.map((rule) => [JSON.stringify(rule), rule]));
  const texts = [...byText.keys()].sort();
  const name = nameOf(direction, `${family} ${texts.join()}`);
  return { name, direction, family, rules: texts.map((text) => byText.get(text)!) };
}

/** Isolates nobody. Holds the chains that let nothing through, so that they are always at hand. */
export function emptyRuleset(): Ruleset {
  const maps = Object.fromEntries(mapNames.map((name) => [name, new Map()])) as Ruleset['maps'];
  const deny = directions.flatMap((direction) => families.map((family) => chainOf(direction, family, [])));
  return { sets: new Map(), chains: new Map(deny.map((chain) => [chain.name, chain])), maps };
}

/** A name for what `content` describes: the same content, the same name. */
export function nameOf(kind: string, content: string): string {
  return `${kind}-${createHash('sha256').update(content).digest('hex').slice(0, 20)}`;
}
