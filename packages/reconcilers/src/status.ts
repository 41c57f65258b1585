import { channels } from '@rancher/contracts';
import type { PrismaClient } from '@rancher/db';
import {
  aggregateHealth,
  type Condition,
  type ConditionInput,
  type EnvironmentState,
  type EventInput,
  findCondition,
  type Health,
  type Plan,
  type ServiceHealth,
  serviceHealth,
  setCondition,
} from '@rancher/domain';
import { inWords, type PlannerResult } from '@rancher/planner';
import { advanceOperations } from './operations.ts';
import { isSimulated } from './simulated.ts';
import {
  readyCondition,
  removingCondition,
  simulatedConditions,
  stackCondition,
} from './status-conditions.ts';
import type { InstanceRow, OperationRow, World } from './world.ts';

/** What the server says of an environment: computed from what runs. */
export interface Status {
  state: EnvironmentState;
  health: ServiceHealth;
  conditions: Condition[];
  observedGeneration: number;
  /** RFC 3339, or null. */
  nextLookAt: string | null;
  activeAt: string | null;
}

export interface StatusChange {
  status: Status;
  services: { id: string; health: ServiceHealth }[];
  stack: { id: string; health: ServiceHealth } | null;
  operations: OperationRow[];
  events: EventInput[];
}

/** Conditions of which all must be True before an environment is active for the first time. */
export const readiness = [
  'HostsReady',
  'SystemStackHealthy',
  'ApiServerReady',
  'ObjectsApplied',
  'NodesReady',
] as const;

/** The status that follows from the world, with `target` as the plan in force. */
export function statusOf(world: World, target: Plan | null, planned: PlannerResult, now: Date): StatusChange {
  const { environment } = world;
  const seen = seenInstances(world, planned.plan);
  const healths = servicesHealth(world, target, seen);
  const services = [...healths].map(([id, health]) => ({ id, health }));
  const health = aggregateHealth([...healths.values()]);
  let conditions = environment.conditions;
  const set = (input: ConditionInput) => {
    conditions = setCondition(conditions, input, now);
  };
  for (const condition of planned.conditions) set(condition);
  set(stackCondition(world, target, seen, now));
  if (isSimulated(world.hosts)) for (const input of simulatedConditions) set(input);
  const missing = readiness.filter((type) => findCondition(conditions, type)?.status !== 'True');
  const state = stateOf(world, planned, missing.length === 0);
  set(state === 'removing' ? removingCondition(world) : readyCondition(state, conditions, missing));
  const settled = state === 'active' || state === 'inactive' || state === 'removed';
  const status: Status = {
    state,
    health,
    conditions,
    observedGeneration: settled ? environment.generation : environment.observedGeneration,
    nextLookAt: planned.nextLookAt === null ? null : new Date(planned.nextLookAt).toISOString(),
    activeAt: environment.activeAt ?? (state === 'active' ? now.toISOString() : null),
  };
  const operations = advanceOperations(world, status, now);
  const stack = world.stack === null ? null : { id: world.stack.id, health };
  return {
    status,
    services,
    stack,
    operations: operations.changed,
    events: [...eventsOf(world, status, now), ...operations.events],
  };
}

/** Rows by id; an instance planned just now has the log of the one that it replaces. */
function seenInstances(world: World, made: Plan | null): Map<string, InstanceRow> {
  const seen = new Map(world.instances.map((i) => [i.id, i]));
  for (const { replaces, instanceId } of made?.actions ?? []) {
    const old = replaces === undefined ? undefined : seen.get(replaces);
    if (old === undefined) continue;
    seen.set(instanceId, { ...old, id: instanceId, state: 'pending', health: 'initializing', message: null });
  }
  return seen;
}

/**
 * Writes the status with that of services, stack and operations in one statement, where anything of it changed.
 * @returns false when the environment was written meanwhile: look again
 */
export async function writeStatus(
  prisma: PrismaClient,
  world: World,
  change: StatusChange,
): Promise<boolean> {
  const { environment } = world;
  const { status, operations } = change;
  const services = change.services.filter(
    (s) => world.services.find((w) => w.id === s.id)?.health !== s.health,
  );
  const stack = change.stack?.health === world.stack?.health ? null : change.stack;
  if (services.length === 0 && stack === null && operations.length === 0 && !differs(world, status))
    return true;
  const rows = await prisma.$queryRaw<{ id: string }[]>`
    WITH environment AS (
      UPDATE "Environment" SET "state" = ${status.state}, "health" = ${status.health},
        "conditions" = ${JSON.stringify(status.conditions)}::jsonb, "observedGeneration" = ${status.observedGeneration}::int,
        "nextLookAt" = ${status.nextLookAt}::timestamptz, "activeAt" = ${status.activeAt}::timestamptz,
        "resourceVersion" = "resourceVersion" + 1, "updatedAt" = now(),
        "removedAt" = CASE WHEN ${status.state} = 'removed' THEN now() END
      WHERE "id" = ${environment.id} AND "resourceVersion" = ${environment.resourceVersion}::int
      RETURNING "id"
    ), services AS (
      UPDATE "Service" s SET "health" = r."health", "resourceVersion" = s."resourceVersion" + 1, "updatedAt" = now()
      FROM environment, jsonb_to_recordset(${JSON.stringify(services)}::jsonb) AS r("id" text, "health" text)
      -- Without the environment Postgres would read every service there is: how many rows a JSON text holds it cannot know.
      WHERE s."id" = r."id" AND s."environmentId" = ${environment.id}
    ), stack AS (
      UPDATE "Stack" k SET "health" = ${stack?.health ?? null}, "resourceVersion" = k."resourceVersion" + 1, "updatedAt" = now()
      FROM environment WHERE k."id" = ${stack?.id ?? null}
    ), secrets AS (
      DELETE FROM "EnvironmentSecret" x USING environment e
      WHERE x."environmentId" = e."id" AND ${status.state} = 'removed'
    ), operations AS (
      UPDATE "Operation" o SET "state" = r."state", "steps" = r."steps", "error" = r."error", "updatedAt" = now(),
        "finishedAt" = CASE WHEN r."state" IN ('succeeded', 'failed', 'canceled') THEN now() END
      FROM environment, jsonb_to_recordset(${JSON.stringify(operations)}::jsonb)
        AS r("id" text, "state" text, "steps" jsonb, "error" jsonb)
      WHERE o."id" = r."id" AND o."environmentId" = ${environment.id} AND o."state" IN ('pending', 'running')
    )
    SELECT e."id", pg_notify(${channels.change}, ${JSON.stringify({ resource: 'environments', id: environment.id })})::text
    FROM environment e`;
  return rows.length > 0;
}

function differs({ environment }: World, status: Status): boolean {
  const time = (t: string | null) => (t === null ? null : Date.parse(t));
  return (
    environment.state !== status.state ||
    environment.health !== status.health ||
    environment.observedGeneration !== status.observedGeneration ||
    time(environment.nextLookAt) !== time(status.nextLookAt) ||
    time(environment.activeAt) !== time(status.activeAt) ||
    sorted(environment.conditions) !== sorted(status.conditions)
  );
}

/** Postgres orders the keys of JSON in its own way. */
function sorted(conditions: readonly Condition[]): string {
  return JSON.stringify(conditions.map((c) => Object.entries(c).sort(([a], [b]) => (a < b ? -1 : 1))));
}

function servicesHealth(world: World, target: Plan | null, seen: ReadonlyMap<string, InstanceRow>) {
  return new Map(
    world.services.map((service): [string, ServiceHealth] => {
      const own = (target?.instances ?? []).filter((i) => i.service === service.name);
      const healths = own.map((i): Health => seen.get(i.id)?.health ?? 'initializing');
      return [service.id, serviceHealth(Math.max(own.length, 1), healths)];
    }),
  );
}

function stateOf(
  { environment, hosts, instances, members }: World,
  planned: PlannerResult,
  ready: boolean,
): EnvironmentState {
  const gone = hosts.length === 0 && instances.length === 0;
  if (environment.desiredState === 'removed') return gone ? 'removed' : 'removing';
  if (environment.desiredState === 'inactive') return 'inactive';
  const wasActive = environment.activeAt !== null && environment.state !== 'activating';
  if (!wasActive && environment.state !== 'inactive') return ready ? 'active' : 'activating';
  const rolls = planned.waits.some((w) => w.condition.reason === 'RollingUpdate');
  const steps = planned.plan?.actions.some((a) => a.kind === 'replace' && a.graceMs === undefined) ?? false;
  const regroups =
    members.some((m) => m.state !== 'voter') || planned.memberSteps.some((s) => s.kind !== 'found');
  // The last instance of a roll is still on its way while the state says so and not everything is healthy; on hosts that
  // cannot be seen nothing is on its way.
  const seen = new Set(hosts.filter((h) => h.state === 'active').map((h) => h.id));
  const lost = seen.size < hosts.length;
  const calm = lost && instances.every((i) => !seen.has(i.hostId) || i.health === 'healthy');
  const ending = environment.state === 'updating' && !ready && !calm;
  return rolls || steps || regroups || ending ? 'updating' : 'active';
}

function eventsOf({ environment }: World, status: Status, now: Date): EventInput[] {
  const about = {
    environmentId: environment.id,
    regarding: { kind: 'Environment', id: environment.id, name: environment.name },
  };
  const events: EventInput[] = [];
  const before = findCondition(environment.conditions, 'Brake')?.status ?? 'False';
  const brake = findCondition(status.conditions, 'Brake');
  if (brake !== undefined && brake.status !== before) {
    const on = brake.status === 'True';
    const message = on ? brake.message : 'The hosts are back: the brake is released';
    events.push({ ...about, type: on ? 'Warning' : 'Normal', reason: on ? 'BrakeOn' : 'BrakeOff', message });
  }
  const lost = (conditions: readonly Condition[]) => {
    const blocked = findCondition(conditions, 'PlanBlocked');
    return blocked?.reason === 'EtcdQuorumLost' ? blocked : undefined;
  };
  const quorumLost = lost(status.conditions);
  if (quorumLost !== undefined && lost(environment.conditions) === undefined)
    events.push({ ...about, type: 'Warning', reason: 'EtcdQuorumLost', message: quorumLost.message });
  if (status.state === 'active' && environment.activeAt === null) {
    const durationMs = now.getTime() - Date.parse(environment.createdAt);
    const message = `Environment ${environment.name} is active, ${inWords(durationMs)} after it was asked for`;
    events.push({ ...about, type: 'Normal', reason: 'EnvironmentActive', message, data: { durationMs } });
  }
  if (status.state === 'removed') {
    events.push({
      ...about,
      type: 'Normal',
      reason: 'EnvironmentRemoved',
      message: `Environment ${environment.name} is removed`,
    });
  }
  return events;
}
