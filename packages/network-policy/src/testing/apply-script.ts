/** Our few commands of nft, carried out on a plain description of a table, as strictly as the kernel does. */
import { mapNames, type Ruleset } from '../ruleset.ts';

/** Sets, maps and chains by name: their elements or rules, sorted. */
export interface Dump {
  sets: Record<string, string[]>;
  chains: Record<string, number>;
}

export function dumpOf(ruleset: Ruleset): Dump {
  const sets: Dump['sets'] = {};
  for (const [name, set] of ruleset.sets) sets[name] = [...set.elements].sort();
  for (const name of mapNames)
    sets[name] = [...ruleset.maps[name]].map(([address, chain]) => `${address} : jump ${chain}`).sort();
  const chains: Dump['chains'] = {};
  for (const [name, { rules }] of ruleset.chains)
    chains[name] = 1 + rules.reduce((sum, rule) => sum + (rule.ports?.length ?? 1), 0);
  return { sets, chains };
}

/** What `script` makes of `dump`. Throws where the kernel would refuse it. */
export function applyScript(dump: Dump, script: string): Dump {
  const sets = new Map(Object.entries(dump.sets).map(([name, elements]) => [name, new Set(elements)]));
  const chains = new Map(Object.entries(dump.chains));
  const must = (ok: boolean, line: string) => {
    if (!ok) throw new Error(`refused: ${line}`);
  };
  for (const line of script.split('\n').filter((l) => l !== '')) {
    const [verb, kind, , , name, ...rest] = line.split(' ') as [string, string, string, string, string];
    const body = rest.join(' ').replace(/^\{ | \}$/g, '');
    if (verb === 'add' && kind === 'set') {
      must(!sets.has(name), line);
      sets.set(name, new Set());
    } else if (kind === 'set') {
      must(sets.delete(name) && !usesSet(script, name), line);
    } else if (kind === 'element') {
      const set = sets.get(name);
      must(set !== undefined, line);
      for (const element of body.split(', ')) changeElement(set!, verb, element, (ok) => must(ok, line));
    } else if (kind === 'rule') {
      must(chains.has(name), line);
      chains.set(name, chains.get(name)! + 1);
    } else if (verb === 'add') {
      must(!chains.has(name), line);
      chains.set(name, 0);
    } else if (verb === 'delete') {
      const used = [...sets.values()].some((s) => [...s].some((e) => e.endsWith(`jump ${name}`)));
      must(!used && chains.delete(name), line);
    }
  }
  return {
    sets: Object.fromEntries([...sets].map(([name, elements]) => [name, [...elements].sort()])),
    chains: Object.fromEntries(chains),
  };
}

function changeElement(set: Set<string>, verb: string, element: string, must: (ok: boolean) => void): void {
  const key = (e: string) => e.split(' : ')[0];
  const present = [...set].find((e) => key(e) === key(element));
  must((present !== undefined) === (verb === 'delete'));
  if (verb === 'delete') set.delete(present!);
  else set.add(element);
}

/** A rule that the same script adds holds on to its set. */
function usesSet(script: string, name: string): boolean {
  return script.split('\n').some((line) => line.startsWith('add rule') && line.includes(`@${name} `));
}
