/** Policies → what nftables must hold on one host, so that each of its pods is as isolated as the policies say. */
import {
  addressNumber,
  blockRange,
  type Family,
  families,
  familyOf,
  merged,
  type Range,
  rangeText,
  wholeRange,
  without,
} from './address.ts';
import type { NamedPort, Peer, Pod, Policy, PolicyPort, PolicyRule, Protocol } from './objects.ts';
import { type PeerIndex, type PodPeer, peerKey } from './peer-index.ts';
import {
  chainOf,
  type Direction,
  directions,
  type ElementSet,
  emptyRuleset,
  mapName,
  nameOf,
  type PortRange,
  type Rule,
  type Ruleset,
  selfName,
} from './ruleset.ts';
import { selectorOf, selects } from './selector.ts';

export interface CompileInput {
  /** By namespace. */
  policies: ReadonlyMap<string, readonly Policy[]>;
  /** The pods of this host. */
  pods: Iterable<Pod>;
  /** Addresses of pods of this host of which nothing is known yet: nothing reaches them, they reach nothing. */
  unknown: Iterable<string>;
  /** Every pod of the cluster. */
  peers: PeerIndex;
  /**
   * Address of a Service → the address that it leads to on this host: a block that holds the first holds the second. For
   * the cluster DNS, which runs on the host and not as pods.
   */
  aliases: ReadonlyMap<string, string>;
}

type BlockPeer = Extract<Peer, { kind: 'block' }>;

const protocols: readonly Protocol[] = ['TCP', 'UDP', 'SCTP'];
const anyPod: PodPeer = {
  kind: 'pods',
  namespaces: { selector: selectorOf({}) },
  pods: selectorOf({}),
};

/**
 * The whole ruleset of a host. Rules: the NetworkPolicy API of Kubernetes (`networking.k8s.io/v1`). A pod is isolated in a
 * direction as soon as one policy of its namespace that speaks of that direction selects it; it is then open to whatever
 * any of these lets through, and always to itself.
 */
export function compile(input: CompileInput): Ruleset {
  return new Compiler(input).run();
}

class Compiler {
  readonly #input: CompileInput;
  readonly #ruleset = emptyRuleset();

  constructor(input: CompileInput) {
    this.#input = input;
  }

  run(): Ruleset {
    for (const pod of this.#input.pods) for (const direction of directions) this.#isolate(pod, direction);
    for (const address of this.#input.unknown)
      for (const direction of directions) this.#judge(address, direction, []);
    for (const family of families) this.#addSelf(family);
    return this.#ruleset;
  }

  #isolate(pod: Pod, direction: Direction): void {
    const rules: PolicyRule[] = [];
    let isolated = false;
    for (const policy of this.#input.policies.get(pod.namespace) ?? []) {
      const told = policy[direction];
      if (!told || !selects(policy.pods, pod.labels)) continue;
      isolated = true;
      rules.push(...told);
    }
    if (!isolated) return;
    for (const address of pod.addresses) {
      const family = familyOf(address);
      this.#judge(
        address,
        direction,
        rules.flatMap((rule) => this.#rules(rule, direction, family, pod.ports)),
      );
    }
  }

  /** From now on `address` is judged by these rules alone. */
  #judge(address: string, direction: Direction, rules: Rule[]): void {
    const family = familyOf(address);
    const chain = chainOf(direction, family, rules);
    this.#ruleset.chains.set(chain.name, chain);
    this.#ruleset.maps[mapName(direction, family)].set(address, chain.name);
  }

  #addSelf(family: Family): void {
    const isolated = directions.flatMap((d) => [...this.#ruleset.maps[mapName(d, family)].keys()]);
    const elements = new Set(isolated.map((address) => `${address} . ${address}`));
    this.#addSet({ name: selfName(family), kind: 'pair', family, elements });
  }

  /** One rule of a policy, for the ports that a pod names. */
  #rules({ peers, ports }: PolicyRule, direction: Direction, family: Family, named: NamedPort[]): Rule[] {
    const sets = peers === null ? [undefined] : this.#sets(peers, family);
    const matches = ports === null ? [{}] : portMatches(ports, direction === 'ingress' ? named : []);
    const plain = matches.flatMap((match) =>
      sets.map((set): Rule => (set === undefined ? match : { ...match, set })),
    );
    if (direction === 'ingress' || ports === null) return plain;
    return [...plain, ...this.#namedPortRules(peers, ports, family)];
  }

  /** Sets of which one must hold the peer's address; undefined: any address will do. */
  #sets(peers: Peer[], family: Family): Rule['set'][] {
    const pods = peers.filter((peer) => peer.kind === 'pods');
    const ranges = merged(peers.flatMap((peer) => (peer.kind === 'block' ? this.#ranges(peer, family) : [])));
    const whole = wholeRange(family);
    if (ranges[0]?.from === whole.from && ranges[0].to === whole.to) return [undefined];
    const sets = pods.map((peer) =>
      this.#addSet({
        name: nameOf('pods', `${family} ${peerKey(peer)}`),
        kind: 'address',
        family,
        elements: this.#input.peers.addresses(peer, family),
      }),
    );
    if (ranges.length === 0) return sets;
    const elements = new Set(ranges.map((range) => rangeText(range, family)));
    const name = nameOf('blocks', `${family} ${[...elements].join()}`);
    return [...sets, this.#addSet({ name, kind: 'range', family, elements })];
  }

  /** The addresses of a block in this family. A block that cannot be read holds nothing. */
  #ranges({ cidr, except }: BlockPeer, family: Family): Range[] {
    const range = blockRange(cidr);
    const holes = except.map(blockRange);
    if (range === null || holes.includes(null) || familyOf(cidr) !== family) return [];
    const ranges = without(range, holes as Range[]);
    for (const [service, local] of this.#input.aliases) {
      const [from, to] = [addressNumber(service), addressNumber(local)];
      if (from === null || to === null || familyOf(local) !== family) continue;
      if (ranges.some((r) => r.from <= from && from <= r.to)) ranges.push({ from: to, to });
    }
    return ranges;
  }

  /** Outwards a name means the port that each peer gives it, so it is a pod, wherever its address was found. */
  #namedPortRules(peers: Peer[] | null, ports: PolicyPort[], family: Family): Rule[] {
    const named = ports.filter((port) => port.kind === 'named');
    return named.flatMap(({ name, protocol }) =>
      (peers ?? [anyPod]).map((peer): Rule => {
        const whom = peer.kind === 'pods' ? peerKey(peer) : JSON.stringify(peer);
        const setName = nameOf('ports', `${family} ${protocol} ${name} ${whom}`);
        // The same for every pod that the rule is about.
        if (this.#ruleset.sets.has(setName)) return { protocol, set: { name: setName, kind: 'port' } };
        const pods = this.#input.peers.pods(peer.kind === 'pods' ? peer : anyPod);
        const all = portElements(pods, name, protocol, family);
        const elements = peer.kind === 'pods' ? all : this.#within(peer, all, family);
        return {
          protocol,
          set: this.#addSet({ name: setName, kind: 'port', family, elements }),
        };
      }),
    );
  }

  /** Those `<address> . <port>` whose address lies in a block. */
  #within(block: BlockPeer, elements: Set<string>, family: Family): Set<string> {
    const ranges = this.#ranges(block, family);
    const inside = (number: bigint) => ranges.some(({ from, to }) => from <= number && number <= to);
    return new Set([...elements].filter((element) => inside(addressNumber(element.split(' ')[0]!) ?? -1n)));
  }

  #addSet(set: ElementSet): NonNullable<Rule['set']> {
    this.#ruleset.sets.set(set.name, set);
    return { name: set.name, kind: set.kind };
  }
}

/** `<address> . <port>` of each pod that gives a port this name. */
function portElements(pods: Iterable<Pod>, name: string, protocol: Protocol, family: Family): Set<string> {
  const elements = new Set<string>();
  for (const pod of pods)
    for (const port of pod.ports)
      if (port.name === name && port.protocol === protocol)
        for (const address of pod.addresses)
          if (familyOf(address) === family) elements.add(`${address} . ${port.port}`);
  return elements;
}

/** Conditions of which one must hold; names stand for what `named` says. */
function portMatches(ports: PolicyPort[], named: NamedPort[]): Rule[] {
  return protocols.flatMap((protocol): Rule[] => {
    const own = ports.filter((port) => port.protocol === protocol);
    if (own.some((port) => port.kind === 'any')) return [{ protocol }];
    const ranges = own.flatMap((port): PortRange[] => {
      if (port.kind === 'range') return [{ from: port.from, to: port.to }];
      const meant = named.filter(
        (n) => port.kind === 'named' && n.name === port.name && n.protocol === protocol,
      );
      return meant.map((n) => ({ from: n.port, to: n.port }));
    });
    return ranges.length === 0 ? [] : [{ protocol, ports: mergedPorts(ranges) }];
  });
}

function mergedPorts(ranges: PortRange[]): PortRange[] {
  const big = ranges.map(({ from, to }) => ({ from: BigInt(from), to: BigInt(to) }));
  return merged(big).map(({ from, to }) => ({ from: Number(from), to: Number(to) }));
}
