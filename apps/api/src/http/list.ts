import { Prisma } from '@rancher/db';
import { parseLabelSelector, type Requirement } from './label-selector.ts';

/** Drops what was not asked for, so that a query's fields become a `where` as they are. */
export function given<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}

/** Prisma's `where` for a label selector on a JSON column `labels`. */
export function whereLabels(selector: string | undefined): { AND?: LabelWhere[] } {
  if (selector === undefined) return {};
  return { AND: parseLabelSelector(selector).map(whereRequirement) };
}

type JsonWhere = {
  labels: { path: string[]; equals?: string | typeof Prisma.DbNull; not?: typeof Prisma.DbNull };
};
type LabelWhere = JsonWhere | { OR: (JsonWhere | { NOT: { OR: JsonWhere[] } })[] };

function whereRequirement(requirement: Requirement): LabelWhere {
  const path = [requirement.key];
  if (requirement.operator === 'exists') return { labels: { path, not: Prisma.DbNull } };
  const absent: JsonWhere = { labels: { path, equals: Prisma.DbNull } };
  if (requirement.operator === 'doesNotExist') return absent;
  const values = requirement.values.map((value): JsonWhere => ({ labels: { path, equals: value } }));
  if (requirement.operator === 'in') return { OR: values };
  // As in Kubernetes, `a!=b` holds where there is no `a` at all. SQL's NULL would not, so the absence is said apart.
  return { OR: [absent, { NOT: { OR: values } }] };
}
