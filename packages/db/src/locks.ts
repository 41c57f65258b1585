/** Keys of our advisory locks in Postgres: numbers that nobody else uses there. */
export const advisoryLocks = {
  /** Migrations of the schema. */
  migrate: 7_262_436_001n,
  /** Held from the numbering of an event until its commit, so that ids become visible in their order. */
  events: 7_262_436_002n,
  /** Making and dropping partitions of events. */
  partitions: 7_262_436_003n,
} as const;
