import { maintainEventPartitions, type PrismaClient } from '@rancher/db';

/** How much history is kept. */
export const retention = {
  eventDays: 14,
  plansPerEnvironment: 50,
  instanceHours: 24,
  instancesPerEnvironment: 1000,
  /** A spec may be written a moment before the instance that names it is. */
  specMinutes: 60,
  operationDays: 30,
  idempotencyHours: 24,
  /** An expired token still explains itself for a while. */
  tokenDays: 7,
  environmentDays: 7,
} as const;

/** Bounds every table that grows with time. Each statement stands alone: what fails is done the next time. */
export async function prune(prisma: PrismaClient): Promise<void> {
  await maintainEventPartitions(prisma, { keepDays: retention.eventDays });
  await prisma.$executeRaw`
    DELETE FROM "Plan" p USING (
      SELECT "id", row_number() OVER (PARTITION BY "environmentId" ORDER BY "generation" DESC) AS n FROM "Plan"
    ) ranked
    WHERE p."id" = ranked."id" AND ranked.n > ${retention.plansPerEnvironment}::int
      AND NOT EXISTS (SELECT 1 FROM "Environment" e LEFT JOIN "Plan" t ON t."id" = e."targetPlanId"
        WHERE e."id" = p."environmentId" AND p."id" IN (e."targetPlanId", t."parentId"))`;
  await prisma.$executeRaw`
    DELETE FROM "Instance" i USING (
      SELECT "id", row_number() OVER (PARTITION BY "environmentId" ORDER BY "removedAt" DESC) AS n
      FROM "Instance" WHERE "removedAt" IS NOT NULL
    ) ranked
    WHERE i."id" = ranked."id" AND (ranked.n > ${retention.instancesPerEnvironment}::int
      OR i."removedAt" < now() - make_interval(hours => ${retention.instanceHours}::int))`;
  await prisma.$executeRaw`
    DELETE FROM "InstanceSpec" s WHERE s."createdAt" < now() - make_interval(mins => ${retention.specMinutes}::int)
      AND NOT EXISTS (SELECT 1 FROM "Instance" i WHERE i."specHash" = s."hash")`;
  await prisma.$executeRaw`
    DELETE FROM "Operation" WHERE "finishedAt" < now() - make_interval(days => ${retention.operationDays}::int)`;
  await prisma.$executeRaw`
    DELETE FROM "IdempotencyKey" WHERE "createdAt" < now() - make_interval(hours => ${retention.idempotencyHours}::int)`;
  await prisma.$executeRaw`
    DELETE FROM "RegistrationToken"
    WHERE least("expiresAt", "revokedAt") < now() - make_interval(days => ${retention.tokenDays}::int)`;
  await prisma.$executeRaw`
    DELETE FROM "Environment" WHERE "removedAt" < now() - make_interval(days => ${retention.environmentDays}::int)`;
}
