import { withDefaults } from '@rancher/components';
import { recordEvents } from '@rancher/db';
import { findCondition, isEtcdCallPending } from '@rancher/domain';
import {
  makePlan,
  type PlannerInput,
  type PlannerOptions,
  type PlannerResult,
  placeServices,
} from '@rancher/planner';
import type { Context } from './context.ts';
import { memberRows, recordMemberSteps } from './etcd-members.ts';
import { recordPlan } from './record.ts';
import { advanceRemovals } from './removal.ts';
import { ensureSecrets } from './secrets.ts';
import { isSimulated } from './simulated.ts';
import type { Render, SpecCache } from './specs.ts';
import { type Status, statusOf, writeStatus } from './status.ts';
import { ensureSystemStack, plannerServices, stackVersions } from './system-stack.ts';
import { loadWorld, ms, plannerHosts, plannerInstances, type World } from './world.ts';

/** How often a pass is begun anew when somebody else wrote meanwhile, before it is left to the next job. */
const passes = 5;
/** What is due later than this is left to the sweep (ms). */
const alarmWithinMs = 60_000;

/**
 * Reconciles one environment: load → ensure → plan → record → removals → status → wake. It takes nothing but the id, so
 * there is one path whether a signal or the clock woke it; and it touches nothing but Postgres, so that a failure is
 * mended at the speed of a few statements. What looks into the cluster is `check-environment`.
 */
export async function reconcileEnvironment(context: Context, environmentId: string): Promise<void> {
  for (let i = 0; i < passes; i += 1) {
    const world = await load(context, environmentId);
    if (world === null) return;
    if (await pass(context, world)) return;
  }
  await context.queue.enqueue('reconcile-environment', { environmentId }, { delayMs: 1_000 });
}

/** One look at the world. False: it was written meanwhile, and must be looked at again. */
async function pass(context: Context, world: World): Promise<boolean> {
  const now = new Date();
  const { planned, render } = plan(context.specs, world, now.getTime());
  if (!(await recordMemberSteps(context.prisma, world, planned.memberSteps))) return false;
  if (planned.plan !== null && !(await recordPlan(context.prisma, world, planned.plan, render))) return false;
  const target = planned.plan ?? world.plan;
  const removals = await advanceRemovals(context, { ...world, plan: target }, now);
  const change = statusOf(
    world,
    target,
    { ...planned, nextLookAt: earliest(planned.nextLookAt, removals) },
    now,
  );
  if (!(await writeStatus(context.prisma, world, change))) return false;
  await recordEvents(context.prisma, change.events);
  await wake(context, world, change.status, now);
  return true;
}

/** The environment with its rows and secrets complete: what a software update added is made here. */
async function load({ prisma, masterKey }: Context, environmentId: string): Promise<World | null> {
  const world = await loadWorld(prisma, environmentId);
  if (world === null || world.environment.desiredState === 'removed') return world;
  await ensureSecrets(prisma, masterKey, world.environment, world.secretNames);
  if (isComplete(world)) return world;
  const { kubernetesVersion, controlPlaneReplicas } = world.environment;
  await ensureSystemStack(prisma, { environmentId, kubernetesVersion, controlPlaneReplicas });
  return loadWorld(prisma, environmentId);
}

/** Every component has its service, in the version that goes with the environment's. */
function isComplete({ environment, services }: World): boolean {
  const versions = stackVersions(environment.kubernetesVersion);
  return [...versions].every(([name, version]) =>
    services.some((s) => s.name === name && s.version === version),
  );
}

/** The planner's answer for a world, with the renderer of the specs it compared. */
export function plan(
  specs: SpecCache,
  world: World,
  now: number,
): { planned: PlannerResult; render: Render } {
  const { environment } = world;
  const input: Omit<PlannerInput, 'specHash'> = {
    now,
    environment: {
      ...environment,
      bootstrapped: environment.activeAt !== null,
      planes: environment.options.planes ?? 'overlapping',
    },
    services: plannerServices(world.services),
    hosts: plannerHosts(world.hosts),
    parent: world.plan,
    members: world.members,
    observed: plannerInstances(world.instances),
    conditions: environment.conditions,
    options: plannerOptions(environment),
  };
  const render = specs.renderer({
    ...world,
    placement: placeServices(input),
    members: memberRows(world, input),
  });
  return {
    planned: makePlan({
      ...input,
      specHash: (service, hostId) => render(service, hostId).hash,
      startHash: (service, hostId) => render(service, hostId).startHash,
    }),
    render,
  };
}

function plannerOptions({ options, brakeReleasedAt }: World['environment']): Partial<PlannerOptions> {
  const { hosts } = withDefaults(options);
  return {
    hostsReplaceAfterMs: hosts.replaceAfterSeconds * 1000,
    etcdReplaceAfterMs: hosts.replaceEtcdAfterSeconds * 1000,
    brakeReleasedAt: ms(brakeReleasedAt) ?? 0,
  };
}

/** Sees to it that this environment, or its cluster, is looked at again when there is reason to. */
async function wake({ queue }: Context, world: World, status: Status, now: Date): Promise<void> {
  const { id: environmentId } = world.environment;
  const dueMs = status.nextLookAt === null ? null : Date.parse(status.nextLookAt) - now.getTime();
  if (dueMs !== null && dueMs <= alarmWithinMs) {
    await queue.enqueue('reconcile-environment', { environmentId }, { delayMs: Math.max(1, dueMs) });
  }
  if (world.members.some(isEtcdCallPending)) {
    await queue.enqueue('change-etcd-members', { environmentId });
  }
  const open = (['ApiServerReady', 'ObjectsApplied', 'NodesReady'] as const).some(
    (type) => findCondition(status.conditions, type)?.status !== 'True',
  );
  const serves = world.instances.some((i) => i.service === 'kube-apiserver' && i.health === 'healthy');
  if (world.environment.desiredState === 'active' && open && serves && !isSimulated(world.hosts)) {
    await queue.enqueue('check-environment', { environmentId });
  }
}

function earliest(a: number | null, b: number | null): number | null {
  return a === null || b === null ? (a ?? b) : Math.min(a, b);
}
