import { channels } from '@rancher/contracts';
import { type PrismaClient, recordEvents } from '@rancher/db';
import type { EventInput, Plan, PlanAction } from '@rancher/domain';
import { retention } from './prune.ts';
import type { Render } from './specs.ts';
import type { World } from './world.ts';

/**
 * Makes a plan the target, in one statement: compare-and-swap on its parent, the plan's row, the rows of new instances
 * and the specs they name, the end of those that it leaves out, and the notification for those who push slices.
 * @returns false when another plan became the target meanwhile: nothing was written
 */
export async function recordPlan(
  prisma: PrismaClient,
  world: World,
  plan: Plan,
  render: Render,
): Promise<boolean> {
  const before = new Map((world.plan?.instances ?? []).map((i) => [i.id, i]));
  const known = new Set([...before.values()].map((i) => i.specHash));
  const actions = new Map(plan.actions.filter((a) => a.kind !== 'remove').map((a) => [a.instanceId, a]));
  const created = plan.instances
    .filter((i) => !before.has(i.id))
    .map((i) => ({
      ...i,
      reason: actions.get(i.id)?.reason ?? '',
      replaces: actions.get(i.id)?.replaces ?? null,
    }));
  const reloaded = plan.instances.filter(
    (i) => before.has(i.id) && before.get(i.id)?.specHash !== i.specHash,
  );
  const rendered = [...created, ...reloaded]
    .filter((i) => !known.has(i.specHash))
    .map((i) => render(i.service, i.hostId));
  const specs = [...new Map(rendered.map((r) => [r.hash, r])).values()];
  const left = new Set(plan.instances.map((i) => i.id));
  const ended = world.instances.filter((i) => !left.has(i.id)).map((i) => i.id);
  const rows = await prisma.$queryRaw<{ id: string }[]>`
    WITH swapped AS (
      UPDATE "Environment" SET "targetPlanId" = ${plan.id}
      WHERE "id" = ${plan.environmentId} AND "removedAt" IS NULL AND "targetPlanId" IS NOT DISTINCT FROM ${plan.parentId}
      RETURNING "id"
    ), planned AS (
      INSERT INTO "Plan" ("id", "environmentId", "generation", "parentId", "instances", "actions", "failures", "createdAt")
      SELECT ${plan.id}, s."id", ${plan.generation}::int, ${plan.parentId}, ${JSON.stringify(plan.instances)}::jsonb,
        ${JSON.stringify(plan.actions)}::jsonb, ${JSON.stringify(plan.failures)}::jsonb, ${plan.createdAt}::timestamptz
      FROM swapped s
    ), old AS (
      -- The pruning by the clock would come late where failures come often.
      DELETE FROM "Plan" p USING swapped s
      WHERE p."environmentId" = s."id" AND p."generation" < ${plan.generation - retention.plansPerEnvironment}::int
    ), specs AS (
      INSERT INTO "InstanceSpec" ("hash", "spec")
      SELECT r."hash", r."spec" FROM swapped, jsonb_to_recordset(${JSON.stringify(specs)}::jsonb) AS r("hash" text, "spec" jsonb)
      ON CONFLICT ("hash") DO NOTHING
    ), created AS (
      INSERT INTO "Instance" ("id", "environmentId", "serviceId", "service", "hostId", "specHash", "planGeneration",
        "reason", "replaces")
      SELECT r."id", s."id", r."serviceId", r."service", r."hostId", r."specHash", ${plan.generation}::int, r."reason", r."replaces"
      FROM swapped s, jsonb_to_recordset(${JSON.stringify(created)}::jsonb)
        AS r("id" text, "serviceId" text, "service" text, "hostId" text, "specHash" text, "reason" text, "replaces" text)
    ), reloaded AS (
      UPDATE "Instance" i SET "specHash" = r."specHash", "updatedAt" = now()
      FROM swapped, jsonb_to_recordset(${JSON.stringify(reloaded)}::jsonb) AS r("id" text, "specHash" text)
      -- The ids twice: how many rows a JSON text holds Postgres cannot know, and would read every instance there is.
      WHERE i."id" = r."id" AND i."id" = ANY(${reloaded.map((i) => i.id)})
    ), ended AS (
      UPDATE "Instance" i SET "updatedAt" = now(),
        "state" = CASE WHEN i."state" IN ('exited', 'pending') THEN 'removed' ELSE 'stopping' END,
        "removedAt" = CASE WHEN i."state" IN ('exited', 'pending') THEN now() END
      -- Its host may have reported the end of one since this world was read: that one must not be stopping again.
      FROM swapped WHERE i."id" = ANY(${ended}) AND i."state" <> 'stopping' AND i."removedAt" IS NULL
    )
    SELECT s."id", pg_notify(${channels.plan}, s."id")::text FROM swapped s`;
  if (rows.length === 0) return false;
  // After the plan, not with it: agents must not wait for the story to be written.
  await recordEvents(prisma, planEvents(world, plan));
  return true;
}

function planEvents(world: World, plan: Plan): EventInput[] {
  const { environment } = world;
  const hostNames = new Map(world.hosts.map((h) => [h.id, h.name]));
  const about = (a: PlanAction) => ({
    environmentId: environment.id,
    hostId: a.hostId,
    regarding: {
      kind: 'Instance',
      id: a.instanceId,
      name: `${a.service} on ${hostNames.get(a.hostId) ?? a.hostId}`,
    },
    data: { service: a.service, planGeneration: plan.generation },
  });
  const removed = plan.actions.filter((a) => a.kind === 'remove');
  const held = new Map(plan.instances.filter((i) => i.notBefore > 0).map((i) => [i.id, i.notBefore]));
  const backingOff = plan.actions.filter((a) => held.has(a.instanceId));
  return [
    ...summary(world, plan),
    ...removed.map(
      (a): EventInput => ({
        ...about(a),
        type: 'Normal',
        reason: 'InstanceRemoved',
        message: `${about(a).regarding.name} is stopped: ${a.reason}`,
      }),
    ),
    ...backingOff.map(
      (a): EventInput => ({ ...about(a), type: 'Warning', reason: 'BackingOff', message: a.reason }),
    ),
  ];
}

/** Mending a failure is told by the failure and by the replacement; other changes are announced. */
function summary(world: World, plan: Plan): EventInput[] {
  const mends = (a: PlanAction) => a.kind === 'replace' && a.graceMs === 0;
  if (plan.actions.every(mends)) return [];
  const count = (kind: PlanAction['kind']) => plan.actions.filter((a) => a.kind === kind).length;
  const parts = [
    [count('create'), 'to start'],
    [count('replace'), 'to replace'],
    [count('reload'), 'to reload'],
    [count('remove'), 'to stop'],
  ] as const;
  const words = parts
    .filter(([n]) => n > 0)
    .map(([n, what]) => `${n} ${n === 1 ? 'instance' : 'instances'} ${what}`);
  return [
    {
      environmentId: world.environment.id,
      regarding: { kind: 'Plan', id: plan.id, name: `plan ${plan.generation}` },
      type: 'Normal',
      reason: 'PlanMade',
      message: `Plan ${plan.generation}: ${words.join(', ')}`,
      data: { generation: plan.generation, actions: plan.actions.length },
    },
  ];
}
