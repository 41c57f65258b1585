import type { Slice, SliceInstance, SliceLocalHost, SliceStop } from '@rancher/contracts';
import type { PrismaClient } from '@rancher/db';
import {
  type Condition,
  findCondition,
  type InstanceSpec,
  type PlanAction,
  type PlannedInstance,
} from '@rancher/domain';

/** Everything that the slices of an environment's hosts are cut from. */
export interface EnvironmentPlan {
  environmentId: string;
  planId: string | null;
  generation: number;
  instances: PlannedInstance[];
  actions: PlanAction[];
}

export async function loadPlan(prisma: PrismaClient, environmentId: string): Promise<EnvironmentPlan> {
  const environment = await prisma.environment.findUnique({
    where: { id: environmentId },
    select: { targetPlanId: true },
  });
  const id = environment?.targetPlanId ?? null;
  const plan = id === null ? null : await prisma.plan.findUnique({ where: { id } });
  return {
    environmentId,
    planId: plan?.id ?? null,
    generation: plan?.generation ?? 0,
    instances: (plan?.instances ?? []) as unknown as PlannedInstance[],
    actions: (plan?.actions ?? []) as unknown as PlanAction[],
  };
}

export interface SliceHost {
  id: string;
  name: string;
  kind: string;
  environmentId: string | null;
  removedAt: Date | null;
  conditions: Condition[];
}

/** Hosts with what their slices need to know of them. */
export async function loadHosts(prisma: PrismaClient, ids: string[]): Promise<SliceHost[]> {
  const rows = await prisma.host.findMany({
    where: { id: { in: ids } },
    select: {
      id: true,
      name: true,
      kind: true,
      environmentId: true,
      removedAt: true,
      conditions: true,
    },
  });
  return rows.map((row) => ({ ...row, conditions: row.conditions as unknown as Condition[] }));
}

/** Its instances have stopped, or were given up, and it is to be wiped: the reconciler has said so as a condition. */
function isWiping(host: { conditions: Condition[] }): boolean {
  return findCondition(host.conditions, 'Removed')?.reason === 'Wiping';
}

/** Local hosts that machines must have. One that is to go stays until its instances have been stopped in order. */
export async function loadLocalHosts(
  prisma: PrismaClient,
  machineIds: string[],
): Promise<Map<string, SliceLocalHost[]>> {
  const rows = await prisma.host.findMany({
    where: { machineId: { in: machineIds }, removedAt: null, environmentId: { not: null } },
    select: { id: true, name: true, environmentId: true, machineId: true, conditions: true },
    orderBy: { createdAt: 'asc' },
  });
  const byMachine = new Map<string, SliceLocalHost[]>(machineIds.map((id) => [id, []]));
  for (const row of rows) {
    if (isWiping({ conditions: row.conditions as unknown as Condition[] })) continue;
    byMachine
      .get(row.machineId!)!
      .push({ hostId: row.id, name: row.name, environmentId: row.environmentId! });
  }
  return byMachine;
}

/** One host's part of a plan, without specs. Pure. */
export function cutSlice(
  host: SliceHost,
  plan: EnvironmentPlan | undefined,
  localHosts: SliceLocalHost[],
): Slice {
  const here = (entry: { hostId: string }) => entry.hostId === host.id;
  const actions = plan?.actions.filter(here) ?? [];
  const reasons = new Map(actions.map((action) => [action.instanceId, action.reason]));
  return {
    environmentId: host.environmentId,
    hostId: host.id,
    hostName: host.name,
    planId: plan?.planId ?? null,
    generation: plan?.generation ?? 0,
    instances: (plan?.instances ?? []).filter(here).map(
      (planned): SliceInstance => ({
        id: planned.id,
        service: planned.service,
        specHash: planned.specHash,
        after: planned.after,
        notBefore: planned.notBefore,
        reason: reasons.get(planned.id) ?? 'planned before',
      }),
    ),
    stops: actions.flatMap(stopOf),
    specs: {},
    localHosts,
    removed: host.removedAt !== null || (host.kind === 'machine' && isWiping(host)),
  };
}

/** How an instance that is no longer planned is stopped; without a word of it the agent goes by the instance's spec. */
function stopOf(action: PlanAction): SliceStop[] {
  const instanceId = action.kind === 'remove' ? action.instanceId : action.replaces;
  if (instanceId === undefined || action.graceMs === undefined) return [];
  return [{ instanceId, graceMs: action.graceMs, reason: action.reason }];
}

export interface SpecStore {
  get(hashes: Iterable<string>): Promise<Map<string, InstanceSpec>>;
}

/** Specs by hash. They never change, so the ones last used are kept. */
export function createSpecStore(prisma: PrismaClient, kept = 500): SpecStore {
  const cache = new Map<string, InstanceSpec>();
  const keep = (hash: string, spec: InstanceSpec) => {
    cache.delete(hash);
    if (cache.size >= kept) cache.delete(cache.keys().next().value as string);
    cache.set(hash, spec);
  };
  return {
    async get(hashes) {
      const wanted = new Set(hashes);
      const found = new Map<string, InstanceSpec>();
      for (const hash of wanted) {
        const spec = cache.get(hash);
        if (spec !== undefined) found.set(hash, spec);
      }
      const missing = [...wanted].filter((hash) => !found.has(hash));
      if (missing.length > 0) {
        for (const row of await prisma.instanceSpec.findMany({ where: { hash: { in: missing } } })) {
          found.set(row.hash, row.spec as unknown as InstanceSpec);
        }
      }
      for (const [hash, spec] of found) keep(hash, spec);
      return found;
    },
  };
}
