import type { Affinity } from '@rancher/domain';
import type { PlannerHost, PlannerService } from '../types.ts';
import { listWords } from '../words.ts';
import { currentHosts, rulesOf, type Scene, staysOn } from './scene.ts';

/** What the rules say of a service on a host, in words that follow the host's name: `has label etcd=true`. */
export interface Judgement {
  /** Hard rules that forbid it. */
  refusals: string[];
  /** Soft rules that would be broken. */
  reservations: string[];
  /** Rules that it keeps. */
  merits: string[];
}

/** Judges one service on one host by its own rules and, where it is new, by the hard ones of what is there already. */
export function judge(scene: Scene, service: PlannerService, host: PlannerHost): Judgement {
  const judgement: Judgement = { refusals: [], reservations: [], merits: [] };
  for (const rule of rulesOf(scene, service)) {
    const { kept, words } = ask(scene, service, host, rule);
    if (kept) judgement.merits.push(words);
    else (rule.soft ? judgement.reservations : judgement.refusals).push(words);
  }
  if (!currentHosts(scene, service).includes(host))
    judgement.refusals.push(...unwelcome(scene, service, host));
  return judgement;
}

interface Finding {
  kept: boolean;
  words: string;
}

function ask(scene: Scene, service: PlannerService, host: PlannerHost, rule: Affinity): Finding {
  if (rule.kind === 'host_label') return askLabels(host, rule);
  const wanted = rule.kind === 'container' ? rule.names : rule.pairs.map(pairText);
  const found = wanted.map((text, i) => {
    const others = scene.services.filter((s) => s !== service && isMeant(s, rule, i));
    const itself = others.length === 0 && isMeant(service, rule, i);
    return { text, runs: itself ? !rule.not : others.some((s) => runsOn(scene, s, host, !rule.not)) };
  });
  const what = (texts: string[]) =>
    rule.kind === 'container' ? listWords(texts) : `an instance with ${listWords(texts)}`;
  const texts = (runs: boolean) => found.filter((f) => f.runs === runs).map((f) => f.text);
  if (rule.not) {
    const there = texts(true);
    return there.length > 0
      ? { kept: false, words: `runs ${what(there)}` }
      : { kept: true, words: `does not run ${what(wanted)}` };
  }
  const lacking = texts(false);
  return lacking.length > 0
    ? { kept: false, words: `does not run ${what(lacking)}` }
    : { kept: true, words: `runs ${what(wanted)}` };
}

function askLabels(host: PlannerHost, rule: Affinity): Finding {
  const has = (pair: { key: string; value: string }) => host.labels[pair.key] === pair.value;
  const texts = (pairs: Affinity['pairs']) => listWords(pairs.map(pairText));
  const label = (pairs: Affinity['pairs']) => `${pairs.length === 1 ? 'label' : 'labels'} ${texts(pairs)}`;
  const there = rule.pairs.filter(has);
  const lacking = rule.pairs.filter((p) => !has(p));
  const kept = (rule.not ? there : lacking).length === 0;
  if (rule.not) return { kept, words: kept ? `lacks ${label(rule.pairs)}` : `has ${label(there)}` };
  return { kept, words: kept ? `has ${label(rule.pairs)}` : `lacks ${label(lacking)}` };
}

/** What is there already and has said by a hard rule that it will not be beside this service. */
function unwelcome(scene: Scene, service: PlannerService, host: PlannerHost): string[] {
  return beside(scene, service, host)
    .filter((other) => hardRules(other).some((rule) => rule.not && means(service, rule)))
    .map((other) => `runs ${other.name}, which is not to be beside ${service.name}`);
}

/**
 * Whether what runs somewhere against a rule mends more by going than it breaks. Labels of hosts always weigh more;
 * against other services it stays where as many hold on to it: of those that want and flee each other in a circle, none
 * would ever come to rest.
 */
export function mayLeave(scene: Scene, service: PlannerService, host: PlannerHost): boolean {
  const broken = rulesOf(scene, service).filter(
    (rule) => !rule.soft && !ask(scene, service, host, rule).kept,
  );
  if (broken.some((rule) => rule.kind === 'host_label')) return true;
  const clinging = beside(scene, service, host).filter((other) =>
    hardRules(other).some((rule) => !rule.not && means(service, rule)),
  );
  return broken.length > clinging.length;
}

const hardRules = (service: PlannerService) =>
  (service.rules ?? []).filter((rule) => !rule.soft && rule.kind !== 'host_label');

function beside(scene: Scene, service: PlannerService, host: PlannerHost): PlannerService[] {
  return scene.services.filter((other) => other !== service && isOn(scene, other, host));
}

/** As it is placed or, before its turn, as it runs now. */
function isOn(scene: Scene, service: PlannerService, host: PlannerHost): boolean {
  const placed = scene.placed.get(service.name);
  return placed === undefined
    ? currentHosts(scene, service).includes(host)
    : staysOn(placed).includes(host.id);
}

function means(service: PlannerService, rule: Affinity): boolean {
  return (rule.kind === 'container' ? rule.names : rule.pairs).some((_, i) => isMeant(service, rule, i));
}

/** Whether the i-th name or pair of a rule means a service. */
function isMeant(service: PlannerService, rule: Affinity, i: number): boolean {
  if (rule.kind === 'container') {
    const name = rule.names[i]!;
    return name === service.name || name === service.labels?.['io.rancher.stack_service.name'];
  }
  const { key, value } = rule.pairs[i]!;
  return service.labels?.[key] === value;
}

/** Services that a service's rules name. */
export function namedBy(services: readonly PlannerService[], service: PlannerService): PlannerService[] {
  const rules = (service.rules ?? []).filter((rule) => rule.kind !== 'host_label');
  return services.filter((other) => other !== service && rules.some((rule) => means(other, rule)));
}

/**
 * A service that has had no turn yet and runs nowhere may come to where its host labels let it, and so counts as there for
 * who wants it; who flees it is safe, for it will be placed with that in sight.
 */
function runsOn(scene: Scene, service: PlannerService, host: PlannerHost, isWanted: boolean): boolean {
  if (scene.placed.has(service.name) || currentHosts(scene, service).length > 0)
    return isOn(scene, service, host);
  const rules = rulesOf(scene, service).filter((rule) => !rule.soft && rule.kind === 'host_label');
  return isWanted && rules.every((rule) => askLabels(host, rule).kept);
}

const pairText = ({ key, value }: { key: string; value: string }) => `${key}=${value}`;
