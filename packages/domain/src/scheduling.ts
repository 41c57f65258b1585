import { DomainError } from './errors.ts';

/**
 * Where instances of a service may run, in the terms of Rancher 1.x: labels of the service below `io.rancher.scheduler.`
 * (docs/placement.md).
 */
export interface Scheduling {
  /** One instance on every host that the rules allow. Null: not said. */
  global: boolean | null;
  rules: Affinity[];
}

export const affinityKinds = ['host_label', 'container_label', 'container'] as const;
export type AffinityKind = (typeof affinityKinds)[number];

/** One rule of affinity. Every pair or name in it must match; with `not`, none may. */
export interface Affinity {
  kind: AffinityKind;
  not: boolean;
  /** Kept where it can be kept; a hard one is never broken. */
  soft: boolean;
  /** Of `host_label` and `container_label`. */
  pairs: { key: string; value: string }[];
  /** Of `container`: services, as `<service>` or `<stack>/<service>`. */
  names: string[];
}

/** Planes kept apart, or one host on several. With isolation a host takes only what its labels say. */
export const planeModes = ['overlapping', 'isolated'] as const;
export type PlaneMode = (typeof planeModes)[number];

const prefix = 'io.rancher.scheduler.';
const globalLabel = `${prefix}global`;
const affinityPrefix = `${prefix}affinity:`;
const keyPattern = /^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const valuePattern = /^([A-Za-z0-9]([-A-Za-z0-9_./]{0,125}[A-Za-z0-9])?)?$/;

/**
 * Reads the scheduling labels among a service's labels; `${stack_name}` and `${service_name}` in them are filled in.
 * @throws DomainError `invalid_value` with a pointer below `pointer` that says what is wrong and what would be right
 */
export function parseScheduling(
  labels: Readonly<Record<string, string>>,
  own: { stack: string; service: string },
  pointer = '/labels',
): Scheduling {
  const scheduling: Scheduling = { global: null, rules: [] };
  for (const label of Object.keys(labels).sort()) {
    if (!label.startsWith(prefix)) continue;
    const refuse = (message: string): never => {
      throw new DomainError('invalid_value', message, { pointer: `${pointer}/${escaped(label)}` });
    };
    const value = filledIn(labels[label]!, own);
    if (label === globalLabel) {
      if (value !== 'true' && value !== 'false') refuse(`${label} is true or false, not "${value}".`);
      scheduling.global = value === 'true';
    } else if (label.startsWith(affinityPrefix)) {
      scheduling.rules.push(affinityOf(label, value, refuse));
    } else {
      refuse(
        `There is no scheduling label ${label}; there is ${globalLabel}, and ${affinityPrefix} with ${kindWords}.`,
      );
    }
  }
  return scheduling;
}

const kindWords = `${affinityKinds.join(', ')}, each with _ne, _soft or _soft_ne after it or nothing`;

function affinityOf(label: string, value: string, refuse: (message: string) => never): Affinity {
  const text = label.slice(affinityPrefix.length);
  const [, kind, soft, not] = /^(host_label|container_label|container)(_soft)?(_ne)?$/.exec(text) ?? [];
  if (kind === undefined) {
    const turned = /^(.+)_ne_soft$/.exec(text)?.[1];
    if (turned !== undefined) return refuse(`There is no affinity ${text}; it is written ${turned}_soft_ne.`);
    return refuse(`There is no affinity "${text}"; there is ${kindWords}.`);
  }
  const items = value.split(',').map((item) => item.trim());
  const rule = { kind: kind as AffinityKind, soft: soft !== undefined, not: not !== undefined };
  if (rule.kind === 'container') return { ...rule, pairs: [], names: items.map((i) => nameOf(i, refuse)) };
  return { ...rule, names: [], pairs: items.map((item) => pairOf(item, refuse)) };
}

function nameOf(item: string, refuse: (message: string) => never): string {
  if (/^[a-z0-9][-a-z0-9.]*(\/[a-z0-9][-a-z0-9.]*)?$/.test(item)) return item;
  return refuse(
    `"${item}" names no service; write <service> or <stack>/<service>, several with commas between.`,
  );
}

function pairOf(item: string, refuse: (message: string) => never): { key: string; value: string } {
  const at = item.indexOf('=');
  const [key, value] = at === -1 ? [item, undefined] : [item.slice(0, at), item.slice(at + 1)];
  if (value !== undefined && keyPattern.test(key) && valuePattern.test(value)) return { key, value };
  return refuse(`"${item}" is not a label; write key=value, such as disk=ssd, several with commas between.`);
}

/** Compose files write `$${…}`, so that it is not taken for a variable of theirs. */
function filledIn(value: string, own: { stack: string; service: string }): string {
  return value.replace(/\${1,2}\{stack_name\}/g, own.stack).replace(/\${1,2}\{service_name\}/g, own.service);
}

/** A token of a JSON pointer (RFC 6901, section 3). */
function escaped(token: string): string {
  return token.replaceAll('~', '~0').replaceAll('/', '~1');
}

/** Labels that every instance of a service carries, besides the service's own, as in Rancher 1.x. */
export function stackLabels(own: { stack: string; service: string }): Record<string, string> {
  return {
    'io.rancher.stack.name': own.stack,
    'io.rancher.stack_service.name': `${own.stack}/${own.service}`,
  };
}
