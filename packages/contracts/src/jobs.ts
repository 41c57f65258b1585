import { type Static, type TSchema, Type } from 'typebox';

/**
 * The catalogue of jobs. A job says "look now" and carries an id, nothing else: what must be true is in Postgres.
 * Losing every job loses nothing, since `sweep` finds what is due.
 */
export const jobs = {
  /** Observe, plan, record, status of one environment. At most one active and one pending for each. */
  'reconcile-environment': {
    schema: Type.Object({ environmentId: Type.String() }, { additionalProperties: false }),
    deduplicate: (d: { environmentId: string }) => d.environmentId,
    everyMs: null,
  },
  /** The server's own look at one environment: /readyz, etcd members and alarms, Nodes. */
  'check-environment': {
    schema: Type.Object({ environmentId: Type.String() }, { additionalProperties: false }),
    deduplicate: (d: { environmentId: string }) => d.environmentId,
    everyMs: null,
  },
  /** One round of what was asked of a host and is done in its cluster: cordon, drain, the end of its Node. */
  'advance-host-operation': {
    schema: Type.Object({ operationId: Type.String() }, { additionalProperties: false }),
    deduplicate: (d: { operationId: string }) => d.operationId,
    everyMs: null,
  },
  /** Carries out what was recorded as intended of one environment's etcd members. */
  'change-etcd-members': {
    schema: Type.Object({ environmentId: Type.String() }, { additionalProperties: false }),
    deduplicate: (d: { environmentId: string }) => d.environmentId,
    everyMs: null,
  },
  /** Asks the other hosts of an environment about those that the server cannot see. */
  'ask-peers': {
    schema: Type.Object({ environmentId: Type.String() }, { additionalProperties: false }),
    deduplicate: (d: { environmentId: string }) => d.environmentId,
    everyMs: null,
  },
  /** Hosts whose agent is silent; environments whose generation is not observed or whose next look is due. */
  sweep: {
    schema: Type.Object({}, { additionalProperties: false }),
    deduplicate: () => 'sweep',
    everyMs: 5_000,
  },
  /** Bounds history: partitions of events, old plans, removed instances, operations, idempotency keys. */
  prune: {
    schema: Type.Object({}, { additionalProperties: false }),
    deduplicate: () => 'prune',
    everyMs: 600_000,
  },
} as const satisfies Record<string, JobDefinition>;

export interface JobDefinition {
  schema: TSchema;
  // biome-ignore lint/suspicious/noExplicitAny: each entry takes its own data; JobData<N> below types the callers
  deduplicate: (data: any) => string;
  /** Runs by the clock too, when set. */
  everyMs: number | null;
}
export type JobName = keyof typeof jobs;
export type JobData<N extends JobName> = Static<(typeof jobs)[N]['schema']>;
