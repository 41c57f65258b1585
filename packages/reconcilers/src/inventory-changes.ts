import type { EventInput, Health, InstanceState, ObservedInstance } from '@rancher/domain';
import { exitWords, inWords } from '@rancher/planner';
import { lastWords } from './last-words.ts';

/** An instance's row before an inventory came, with what is known of the one it replaced. */
export interface Before {
  id: string;
  environmentId: string;
  service: string;
  state: InstanceState;
  health: Health;
  pid: number | null;
  restarts: number;
  message: string | null;
  reason: string;
  startedAt: Date | null;
  healthyAt: Date | null;
  exitedAt: Date | null;
  createdAt: Date;
  certificates: unknown;
  replaces: string | null;
  /** When the instance that this one replaced exited, if it did. */
  replacedExitedAt: Date | null;
}

/** A row to be written. */
export interface After {
  id: string;
  state: InstanceState;
  health: Health;
  pid: number | null;
  restarts: number;
  exit: ObservedInstance['exit'] | null;
  message: string | null;
  logTail: string[] | null;
  certificates: ObservedInstance['certificates'];
  startedAt: string | null;
  healthyAt: string | null;
  exitedAt: string | null;
}

export interface InventoryChanges {
  rows: After[];
  /** Left out by the plan, and not listed any more. */
  removed: string[];
  events: EventInput[];
  /** Something that a plan or the status goes by. */
  reconcile: boolean;
}

/** What an inventory says that the rows do not. Pure. */
export function inventoryChanges(
  host: { id: string; name: string },
  before: readonly Before[],
  listed: readonly ObservedInstance[],
  now: Date,
): InventoryChanges {
  const told = new Map(listed.map((i) => [i.id, i]));
  const changes: InventoryChanges = { rows: [], removed: [], events: [], reconcile: false };
  for (const row of before) {
    const seen = told.get(row.id);
    if (seen === undefined) {
      if (row.state === 'stopping') changes.removed.push(row.id);
      continue;
    }
    const after = rowOf(row, seen);
    if (same(row, after)) continue;
    changes.rows.push(after);
    changes.events.push(...eventsOf(host, row, after, now));
    const exited = after.state === 'exited' && row.state !== 'exited';
    changes.reconcile ||= exited || after.health !== row.health;
  }
  changes.reconcile ||= changes.removed.length > 0;
  return changes;
}

function rowOf(row: Before, seen: ObservedInstance): After {
  return {
    id: row.id,
    state: stateOf(row, seen),
    health: seen.health,
    pid: seen.pid ?? null,
    restarts: seen.restarts,
    exit: seen.exit ?? null,
    message: seen.message ?? null,
    logTail: seen.logTail ?? null,
    certificates: seen.certificates,
    startedAt: seen.startedAt ?? null,
    healthyAt: seen.healthyAt ?? null,
    exitedAt: seen.exitedAt ?? null,
  };
}

/**
 * Only the plan takes an instance out of service: what it has left out is `stopping`, whatever it still does, and what it
 * has not is never, though the host's agent stops everything as it powers off.
 */
function stateOf(row: Before, seen: ObservedInstance): InstanceState {
  return row.state === 'stopping' || seen.state === 'stopping' ? row.state : seen.state;
}

function same(row: Before, after: After): boolean {
  const time = (t: Date | null) => t?.getTime() ?? null;
  const parsed = (t: string | null) => (t === null ? null : Date.parse(t));
  return (
    row.state === after.state &&
    row.health === after.health &&
    row.pid === after.pid &&
    row.restarts === after.restarts &&
    row.message === after.message &&
    time(row.startedAt) === parsed(after.startedAt) &&
    time(row.healthyAt) === parsed(after.healthyAt) &&
    time(row.exitedAt) === parsed(after.exitedAt) &&
    certificatesText(row.certificates) === certificatesText(after.certificates)
  );
}

/** Postgres orders the keys of JSON in its own way. */
function certificatesText(certificates: unknown): string {
  return (certificates as ObservedInstance['certificates']).map((c) => `${c.path} ${c.notAfter}`).join('\n');
}

function eventsOf(host: { id: string; name: string }, row: Before, after: After, now: Date): EventInput[] {
  if (row.state === 'stopping') return [];
  const where = `${row.service} on ${host.name}`;
  const tell = (
    type: EventInput['type'],
    reason: EventInput['reason'],
    message: string,
    data: Record<string, unknown> = {},
  ): EventInput => ({
    environmentId: row.environmentId,
    hostId: host.id,
    regarding: { kind: 'Instance', id: row.id, name: where },
    type,
    reason,
    message,
    data: { service: row.service, ...data },
  });
  const events: EventInput[] = [];
  if (after.restarts > row.restarts) {
    const times = after.restarts - row.restarts;
    const how = times === 1 ? 'once' : `${times} times`;
    const why = after.message === null ? '' : `: ${after.message}`;
    const message = `${where} was started again ${how} by its agent, while no server told it to${why}`;
    events.push(tell('Warning', 'InstanceRestartedByAgent', message, { restarts: after.restarts }));
  }
  if (after.state === 'exited' && row.state !== 'exited') {
    const ranMs = between(after.startedAt, after.exitedAt);
    const ran = ranMs === null ? '' : ` after ${inWords(ranMs)}`;
    // One that was killed had no time for a word.
    const said = after.exit?.signal == null ? lastWords(after.logTail) : undefined;
    const message = `${where} exited (${exitWords(after.exit ?? null)})${ran}${said === undefined ? '' : `: ${said}`}`;
    events.push(tell('Warning', 'InstanceExited', message, { exit: after.exit, ranMs }));
  } else if (after.health === 'unhealthy' && row.health !== 'unhealthy') {
    const message = `${where} is unhealthy${after.message === null ? '' : `: ${after.message}`}`;
    events.push(tell('Warning', 'InstanceUnhealthy', message));
  } else if (after.health === 'healthy' && row.health !== 'healthy') {
    events.push(...healthyEvent(row, after, where, now, tell));
  }
  return events;
}

function healthyEvent(
  row: Before,
  after: After,
  where: string,
  now: Date,
  tell: (
    type: 'Normal',
    reason: EventInput['reason'],
    message: string,
    data?: Record<string, unknown>,
  ) => EventInput,
): EventInput[] {
  // A run that its agent started again was healthy before, or its replacement would be told of twice.
  const first = row.healthyAt === null && after.restarts === 0;
  if (first && row.replaces !== null) {
    const durationMs =
      between(row.replacedExitedAt?.toISOString() ?? null, after.healthyAt) ??
      now.getTime() - row.createdAt.getTime();
    const message = `${row.reason}; replaced in ${inWords(durationMs)}`;
    return [tell('Normal', 'InstanceReplaced', message, { durationMs, replaces: row.replaces })];
  }
  if (first) {
    const durationMs = between(after.startedAt, after.healthyAt);
    const how = durationMs === null ? '' : `, ${inWords(durationMs)} after its start`;
    return [tell('Normal', 'InstanceHealthy', `${where} is healthy${how}`, { durationMs })];
  }
  // Seen again after its host was lost: that is told of the host.
  if (row.health === 'unknown') return [];
  return [tell('Normal', 'InstanceHealthy', `${where} is healthy again`)];
}

/** Milliseconds between two times of one clock; null when either is missing or they make no sense together. */
function between(from: string | null, to: string | null): number | null {
  if (from === null || to === null) return null;
  const duration = Date.parse(to) - Date.parse(from);
  return duration >= 0 ? duration : null;
}
