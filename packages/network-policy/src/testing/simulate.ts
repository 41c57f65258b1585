/** What nftables does with a connection under a ruleset, without nftables. */
import { addressNumber, familyOf } from '../address.ts';
import type { Protocol } from '../objects.ts';
import { type Direction, directions, mapName, type Rule, type Ruleset, selfName } from '../ruleset.ts';

/** A connection as conntrack knows it: who opened it, whom it led to in the end. */
export interface Flow {
  from: string;
  to: string;
  protocol: Protocol;
  port: number;
}

/** Whether a packet that is forwarded passes. */
export function passes(ruleset: Ruleset, flow: Flow): boolean {
  const self = ruleset.sets.get(selfName(familyOf(flow.to)));
  if (self?.elements.has(`${flow.from} . ${flow.to}`)) return true;
  return directions.every((direction) => {
    const own = direction === 'ingress' ? flow.to : flow.from;
    const name = ruleset.maps[mapName(direction, familyOf(own))].get(own);
    if (name === undefined) return true;
    return ruleset.chains.get(name)!.rules.some((rule) => ruleMatches(ruleset, rule, direction, flow));
  });
}

function ruleMatches(ruleset: Ruleset, rule: Rule, direction: Direction, flow: Flow): boolean {
  if (rule.protocol !== undefined && rule.protocol !== flow.protocol) return false;
  if (rule.ports && !rule.ports.some(({ from, to }) => flow.port >= from && flow.port <= to)) return false;
  if (rule.set === undefined) return true;
  const { kind, elements } = ruleset.sets.get(rule.set.name)!;
  const peer = direction === 'ingress' ? flow.from : flow.to;
  if (kind === 'address') return elements.has(peer);
  if (kind === 'port') return elements.has(`${peer} . ${flow.port}`);
  const number = addressNumber(peer)!;
  return [...elements].some((range) => {
    const [from, to = from] = range.split('-') as [string, string?];
    return addressNumber(from)! <= number && number <= addressNumber(to)!;
  });
}
