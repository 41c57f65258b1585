/**
 * Postgres NOTIFY channels: "look now" between processes that share the database. A lost one loses nothing; whoever
 * listens also looks by the clock.
 */
export const channels = {
  /** Payload: environment id. A new plan is the target, or hosts of it changed: push the slices. */
  plan: 'rancher_plan',
  /** Payload: host id of a machine whose local hosts changed. */
  machine: 'rancher_machine',
  /** Payload: host id whose credential has ended: whoever holds its socket hangs up. */
  identity: 'rancher_identity',
  /** Payload: event id. */
  event: 'rancher_event',
  /** Payload: JSON {resource, id}: something readable changed; for live views. */
  change: 'rancher_change',
} as const;
