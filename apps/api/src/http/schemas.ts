import { type ErrorCode, errorCodes } from '@rancher/domain';
import { type TProperties, type TSchema, Type } from 'typebox';
import { component, nullable } from './components.ts';
import { problem } from './problem.ts';

/** An object of a request: what is not listed is refused (`unknown_field`), never dropped. */
export function closed<P extends TProperties>(properties: P, options: { description?: string } = {}) {
  return Type.Object(properties, { additionalProperties: false, ...options });
}

/** A name in the sense of DNS labels (RFC 1123), at most 40 characters, as names become parts of host names. */
export const dnsLabel = (description?: string) =>
  Type.String({
    pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$',
    minLength: 1,
    maxLength: 40,
    ...(description === undefined ? {} : { description }),
  });

const labelKey = '^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$';
const labelValue = '^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$';
const closedRecord = { additionalProperties: false } as const;

/** Labels with Kubernetes' own rules for keys and values. */
export const labels = component(
  'Labels',
  Type.Unsafe<Record<string, string>>({
    type: 'object',
    patternProperties: { [labelKey]: { type: 'string', pattern: labelValue } },
    ...closedRecord,
  }),
);
/** Labels that users may give to hosts: those below `io.rancher.host.` are found by the server itself. */
const userLabelKey = `^(?!io\\.rancher\\.host\\.)${labelKey.slice(1)}`;
export const userLabels = component(
  'UserLabels',
  Type.Unsafe<Record<string, string>>({
    type: 'object',
    description: 'Those below `io.rancher.host.` are found by the server itself, and refused here',
    patternProperties: { [userLabelKey]: { type: 'string', pattern: labelValue } },
    ...closedRecord,
  }),
);
export const userLabelsPatch = component(
  'UserLabelsPatch',
  Type.Unsafe<Record<string, string | null>>({
    type: 'object',
    description:
      'JSON merge patch; those below `io.rancher.host.` are found by the server itself, and refused here',
    patternProperties: { [userLabelKey]: { type: ['string', 'null'], pattern: labelValue } },
    ...closedRecord,
  }),
);

/** Labels in a JSON merge patch (RFC 7396): null takes one away. */
export const labelsPatch = component(
  'LabelsPatch',
  Type.Unsafe<Record<string, string | null>>({
    type: 'object',
    patternProperties: { [labelKey]: { type: ['string', 'null'], pattern: labelValue } },
    ...closedRecord,
  }),
);

/** Labels as answered: always an object of strings. */
export const labelsView = Type.Unsafe<Record<string, string>>({
  type: 'object',
  additionalProperties: { type: 'string' },
});
export const anything = (description: string) =>
  Type.Unsafe<Record<string, unknown>>({ type: 'object', additionalProperties: true, description });
export const timestamp = (description?: string) =>
  Type.String({ format: 'date-time', ...(description === undefined ? {} : { description }) });
export const nullableTimestamp = (description?: string) => nullable(timestamp(description));

const condition = Type.Object({
  type: Type.String(),
  status: Type.String({ enum: ['True', 'False', 'Unknown'] }),
  reason: Type.String(),
  message: Type.String(),
  lastTransitionTime: timestamp(),
  deadline: Type.Optional(timestamp('When the wait is given up or escalated')),
  nextTryAt: Type.Optional(timestamp('When it is looked at next')),
  lastError: Type.Optional(Type.String()),
  logTail: Type.Optional(Type.Array(Type.String())),
  seenBy: Type.Optional(
    Type.Array(Type.String(), { description: 'Of Reachable: names of the hosts that reach it' }),
  ),
});
export const conditions = Type.Array(component('Condition', condition));

export const idParams = closed({ id: Type.String({ minLength: 1, maxLength: 64 }) });

export const idempotencyHeaders = Type.Object({
  'idempotency-key': Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 255,
      description: 'The same key with the same body gives the same answer, and the work is done once.',
    }),
  ),
});
export const ifMatchHeaders = Type.Object({
  'if-match': Type.Optional(
    Type.String({ description: 'The ETag that was read; `*` for whatever is there. Required on PATCH.' }),
  ),
});

/** Fields of every list's query. */
export const pageQuery = {
  pageSize: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, default: 100 })),
  pageToken: Type.Optional(
    Type.String({ maxLength: 1024, description: '`nextPageToken` of the page before' }),
  ),
};
export const labelSelectorQuery = {
  labelSelector: Type.Optional(
    Type.String({ maxLength: 1024, description: "Kubernetes' own syntax: `a=b,c!=d,e in (f,g),h,!i`" }),
  ),
};
export const dryRunQuery = {
  dryRun: Type.Optional(
    Type.Boolean({ description: 'Change nothing; answer with the plan that would be made.' }),
  ),
};

/** A page of resources. */
export function listOf<T extends TSchema>(name: string, item: T) {
  return component(
    name,
    Type.Object({ items: Type.Array(item), nextPageToken: Type.Optional(Type.String()) }),
  );
}

const always: ErrorCode[] = [
  'invalid_request',
  'unauthenticated',
  'forbidden',
  'rate_limited',
  'internal',
  'unavailable',
];

/** Response schemas of the problems a route answers with: those that every route may, and the ones named. */
export function problems(...codes: ErrorCode[]) {
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of [...always, ...codes]) {
    const status = errorCodes[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  return Object.fromEntries(
    [...byStatus]
      .sort(([a], [b]) => a - b)
      .map(([status, list]) => [
        status,
        {
          description: `Codes: ${[...new Set(list)].join(', ')}`,
          content: { 'application/problem+json': { schema: problem } },
        },
      ]),
  );
}
