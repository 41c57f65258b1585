import { jobs } from '@rancher/contracts';
import { etcdCallStates } from '@rancher/domain';
import type { Context } from './context.ts';
import { hostOperationsUnderWay } from './host-actions/advance.ts';
import { recordSilence } from './hosts.ts';
import { environmentsWithSilentHosts } from './peers.ts';
import { runtimeLabel } from './simulated.ts';

/**
 * By the clock: hosts that are silent, environments whose intent is not carried through or whose next look is due, and
 * clusters to be looked into. Losing every job loses nothing, since this finds what they were for.
 */
export async function sweep(context: Context, heardSince: Date): Promise<void> {
  const now = new Date();
  const touched = new Set(await recordSilence(context.prisma, heardSince, now));
  const environments = await due(context);
  for (const { id, isDue } of environments) if (isDue) touched.add(id);
  for (const environmentId of touched)
    await context.queue.enqueue('reconcile-environment', { environmentId });
  for (const { environmentId } of await unfinishedMemberChanges(context)) {
    await context.queue.enqueue('change-etcd-members', { environmentId });
  }
  for (const environmentId of await environmentsWithSilentHosts(context))
    await context.queue.enqueue('ask-peers', { environmentId });
  const checksAll = isCheckRound(now);
  for (const operationId of await hostOperationsUnderWay(context))
    await context.queue.enqueue('advance-host-operation', { operationId });
  for (const { id: environmentId, isChecked, isActive } of environments) {
    if (isChecked && (checksAll || !isActive))
      await context.queue.enqueue('check-environment', { environmentId });
  }
}

/**
 * Clusters that are well are looked into at every other sweep: agents tell at once what breaks, this finds what they
 * cannot see. By the clock, as any worker may do the sweep.
 */
function isCheckRound(now: Date): boolean {
  return Math.floor(now.getTime() / (jobs.sweep.everyMs ?? 1)) % 2 === 0;
}

function unfinishedMemberChanges({ prisma }: Context): Promise<{ environmentId: string }[]> {
  return prisma.etcdMember.findMany({
    where: { state: { in: [...etcdCallStates] } },
    select: { environmentId: true },
    distinct: ['environmentId'],
  });
}

function due({
  prisma,
}: Context): Promise<{ id: string; isDue: boolean; isChecked: boolean; isActive: boolean }[]> {
  return prisma.$queryRaw`
    SELECT e."id", e."state" = 'active' AND e."health" = 'healthy' AS "isActive",
      (e."generation" <> e."observedGeneration" OR e."nextLookAt" <= now()
        OR e."targetPlanId" IS NULL OR e."desiredState" = 'removed') AS "isDue",
      (e."desiredState" <> 'removed' AND e."targetPlanId" IS NOT NULL AND EXISTS (
        SELECT 1 FROM "Host" h WHERE h."environmentId" = e."id" AND h."removedAt" IS NULL
          AND h."labels" ->> ${runtimeLabel} IS DISTINCT FROM 'simulated')) AS "isChecked"
    FROM "Environment" e WHERE e."removedAt" IS NULL`;
}
