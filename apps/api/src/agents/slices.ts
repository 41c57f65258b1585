import type { Slice, SliceInstance, SliceLocalHost, SliceStop } from '@rancher/contracts';
import type { PrismaClient } from '@rancher/db';
import {
  type Condition,
  defaultHostNetwork,
  findCondition,
  type HostPower,
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

export interface PlanStore {
  /** The target plan of an environment; without instances while there is none. */
  target(environment: { id: string; targetPlanId: string | null }): Promise<EnvironmentPlan>;
}

/** Plans never change, so the ones last used are kept. */
export function createPlanStore(prisma: PrismaClient, kept = 250): PlanStore {
  const cache = new Map<string, EnvironmentPlan>();
  return {
    async target({ id: environmentId, targetPlanId: planId }) {
      const none = { environmentId, planId: null, generation: 0, instances: [], actions: [] };
      if (planId === null) return none;
      const known = cache.get(planId);
      if (known !== undefined) return known;
      const row = await prisma.plan.findUnique({ where: { id: planId } });
      if (row === null) return none;
      const plan = {
        environmentId,
        planId,
        generation: row.generation,
        instances: row.instances as unknown as PlannedInstance[],
        actions: row.actions as unknown as PlanAction[],
      };
      if (cache.size >= kept) cache.delete(cache.keys().next().value as string);
      cache.set(planId, plan);
      return plan;
    },
  };
}

export interface SliceHost {
  id: string;
  name: string;
  kind: string;
  environmentId: string | null;
  environment: { id: string; targetPlanId: string | null } | null;
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
      environment: { select: { id: true, targetPlanId: true } },
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
    select: {
      id: true,
      name: true,
      environmentId: true,
      machineId: true,
      conditions: true,
      power: true,
      network: true,
    },
    orderBy: { createdAt: 'asc' },
  });
  const byMachine = new Map<string, SliceLocalHost[]>(machineIds.map((id) => [id, []]));
  for (const row of rows) {
    if (isWiping({ conditions: row.conditions as unknown as Condition[] })) continue;
    byMachine.get(row.machineId!)!.push({
      hostId: row.id,
      name: row.name,
      environmentId: row.environmentId!,
      network: row.network ?? defaultHostNetwork,
      power: row.power as HostPower,
    });
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
