import { type PrismaClient, recordEvents } from '@rancher/db';
import type { Inventory } from '@rancher/domain';
import { type Before, inventoryChanges } from './inventory-changes.ts';

export interface Recorded {
  environmentId: string | null;
  /** Rows were written. */
  changed: boolean;
  /** The environment's reconciler should look now. */
  reconcile: boolean;
}

interface HostView {
  name: string;
  environmentId: string | null;
  appliedGeneration: number;
  instances: (Omit<Before, DateField> & Record<DateField, string | null>)[];
}
type DateField = 'startedAt' | 'healthyAt' | 'exitedAt' | 'createdAt' | 'replacedExitedAt';

/**
 * Takes what an agent says of its host: one statement reads, one writes, where anything changed; then the events. Calls
 * for one host must come one after the other.
 */
export async function recordInventory(
  prisma: PrismaClient,
  hostId: string,
  inventory: Inventory,
): Promise<Recorded> {
  const host = await readHost(prisma, hostId);
  if (host === undefined) return { environmentId: null, changed: false, reconcile: false };
  const { environmentId } = host;
  const before = host.instances.map(datesOf);
  const changes = inventoryChanges({ id: hostId, name: host.name }, before, inventory.instances, new Date());
  const applied = host.appliedGeneration !== inventory.generation;
  const changed = applied || changes.rows.length > 0 || changes.removed.length > 0;
  if (!changed) return { environmentId, changed, reconcile: false };
  await write(prisma, hostId, inventory.generation, changes);
  await recordEvents(prisma, changes.events);
  return { environmentId, changed, reconcile: changes.reconcile && environmentId !== null };
}

async function readHost(prisma: PrismaClient, hostId: string): Promise<HostView | undefined> {
  const [host] = await prisma.$queryRaw<HostView[]>`
    SELECT h."name", h."environmentId", h."appliedGeneration",
      (SELECT coalesce(json_agg(json_build_object('id', i."id", 'environmentId', i."environmentId", 'service', i."service",
          'state', i."state", 'health', i."health", 'pid', i."pid", 'restarts', i."restarts", 'message', i."message",
          'reason', i."reason", 'startedAt', i."startedAt", 'healthyAt', i."healthyAt", 'exitedAt', i."exitedAt",
          'createdAt', i."createdAt", 'certificates', i."certificates", 'replaces', i."replaces",
          'replacedExitedAt', r."exitedAt")), '[]')
        FROM "Instance" i LEFT JOIN "Instance" r ON r."id" = i."replaces"
        WHERE i."hostId" = h."id" AND i."removedAt" IS NULL) AS "instances"
    FROM "Host" h WHERE h."id" = ${hostId}`;
  return host;
}

function datesOf(row: HostView['instances'][number]): Before {
  const date = (text: string | null) => (text === null ? null : new Date(text));
  return {
    ...row,
    startedAt: date(row.startedAt),
    healthyAt: date(row.healthyAt),
    exitedAt: date(row.exitedAt),
    createdAt: date(row.createdAt) ?? new Date(),
    replacedExitedAt: date(row.replacedExitedAt),
  };
}

async function write(
  prisma: PrismaClient,
  hostId: string,
  generation: number,
  changes: ReturnType<typeof inventoryChanges>,
): Promise<void> {
  await prisma.$executeRaw`
    WITH host AS (
      UPDATE "Host" SET "appliedGeneration" = ${generation}::int, "updatedAt" = now()
      WHERE "id" = ${hostId} AND "appliedGeneration" <> ${generation}::int
    ), removed AS (
      UPDATE "Instance" SET "state" = 'removed', "removedAt" = now(), "updatedAt" = now()
      WHERE "id" = ANY(${changes.removed}) AND "removedAt" IS NULL
    )
    UPDATE "Instance" i SET "health" = r."health", "pid" = r."pid", "restarts" = r."restarts", "exit" = r."exit",
      "message" = r."message", "logTail" = coalesce(r."logTail", i."logTail"), "certificates" = r."certificates",
      "startedAt" = r."startedAt", "healthyAt" = r."healthyAt", "exitedAt" = r."exitedAt", "updatedAt" = now(),
      -- The plan may have left it out since it was read.
      "state" = CASE WHEN i."state" = 'stopping' THEN i."state" ELSE r."state" END
    FROM jsonb_to_recordset(${JSON.stringify(changes.rows)}::jsonb) AS r("id" text, "state" text, "health" text, "pid" int,
      "restarts" int, "exit" jsonb, "message" text, "logTail" jsonb, "certificates" jsonb, "startedAt" timestamptz,
      "healthyAt" timestamptz, "exitedAt" timestamptz)
    -- The ids twice: how many rows a JSON text holds Postgres cannot know, and would read every instance there is.
    WHERE i."id" = r."id" AND i."id" = ANY(${changes.rows.map((row) => row.id)}) AND i."removedAt" IS NULL`;
}
