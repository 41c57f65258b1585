import { setTimeout as delay } from 'node:timers/promises';
import { recordEvents } from '@rancher/db';
import { type Condition, canonicalJson, type EventInput, findCondition, setCondition } from '@rancher/domain';
import { recordNodes } from './check-nodes.ts';
import type { Context } from './context.ts';
import { recordApplied } from './etcd-members.ts';
import { event, type Findings, lookInto } from './look.ts';
import { keepLabelsInStep } from './node-labels.ts';
import { isSimulated } from './simulated.ts';
import { json, loadWorld, type World } from './world.ts';

/** While an environment waits for its cluster it is looked at again so soon (ms), as creation is a time users wait for. */
const pollMs = 100;
/** … for so long within one job (ms); then the next job goes on. */
const pollForMs = 10_000;
/** What an environment waits for here before it is active for the first time. */
const awaited = ['ApiServerReady', 'ObjectsApplied', 'NodesReady'] as const;

/**
 * The server's own look at a cluster, not only through agents: `/readyz` → objects of the system stack → Nodes → etcd.
 * It writes conditions, and events where they turned; what follows from them is the reconciler's.
 */
export async function checkEnvironment(
  context: Context,
  environmentId: string,
  signal: AbortSignal,
): Promise<void> {
  const until = Date.now() + pollForMs;
  for (;;) {
    const world = await loadWorld(context.prisma, environmentId);
    if (world === null || world.environment.desiredState === 'removed' || isSimulated(world.hosts)) return;
    const found = await lookInto(context, world);
    if (found === null) return;
    await write(context, world, found);
    const ready = awaited.every((type) =>
      found.conditions.some((c) => c.type === type && c.status === 'True'),
    );
    // A frozen environment, or one whose API server is down, is looked at again by the sweep and the reconciler.
    if (ready || !found.serves || world.environment.activeAt !== null || signal.aborted) return;
    if (Date.now() > until) {
      await context.queue.enqueue('check-environment', { environmentId }, { delayMs: 1_000 });
      return;
    }
    await delay(pollMs, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
  }
}

/** How often a write is tried again on what somebody else wrote meanwhile: what was seen in the cluster stays seen. */
const writes = 10;

/** Writes what was found, if it is new, on top of whatever the reconciler writes at the same time. */
async function write(context: Context, world: World, found: Findings): Promise<void> {
  const { prisma, queue } = context;
  const { id } = world.environment;
  const now = new Date();
  let before: Pick<World['environment'], 'conditions' | 'resourceVersion' | 'appliedObjectsHash'> =
    world.environment;
  for (let i = 0; !(await writeOnce(context, id, before, found, now)); i += 1) {
    if (i === writes)
      throw new Error(`What was seen of environment ${id} could not be written: it changes all the time`);
    const row = await prisma.environment.findUniqueOrThrow({ where: { id } });
    before = { ...row, conditions: row.conditions as unknown as Condition[] };
  }
  const nodes = found.nodes === null ? [] : await recordNodes(context, world, found.nodes, now);
  if (found.etcd !== null) await recordApplied(prisma, id, found.etcd);
  await keepLabelsInStep(context, world, found.nodes ?? []);
  await recordEvents(prisma, [...turnEvents(world, before.conditions, found), ...found.events, ...nodes]);
  const turned = found.conditions.some((c) => findCondition(before.conditions, c.type)?.status !== c.status);
  if (turned || nodes.length > 0) await queue.enqueue('reconcile-environment', { environmentId: id });
}

/** False: the environment was written meanwhile. */
async function writeOnce(
  { prisma }: Context,
  id: string,
  before: Pick<World['environment'], 'conditions' | 'resourceVersion' | 'appliedObjectsHash'>,
  found: Findings,
  now: Date,
): Promise<boolean> {
  let { conditions } = before;
  for (const condition of found.conditions) conditions = setCondition(conditions, condition, now);
  const hash = found.appliedObjectsHash;
  if (canonicalJson(conditions) === canonicalJson(before.conditions) && hash === before.appliedObjectsHash)
    return true;
  const { count } = await prisma.environment.updateMany({
    where: { id, resourceVersion: before.resourceVersion },
    data: { conditions: json(conditions), appliedObjectsHash: hash, resourceVersion: { increment: 1 } },
  });
  return count > 0;
}

function turnEvents(world: World, conditions: readonly Condition[], found: Findings): EventInput[] {
  const before = findCondition(conditions, 'ApiServerReady')?.status;
  const after = found.conditions.find((c) => c.type === 'ApiServerReady');
  if (after === undefined || after.status === before) return [];
  if (after.status === 'True')
    return [event(world, 'Normal', 'ApiServerReady', 'The Kubernetes API is ready')];
  // Before it was ever ready there is nothing to be told.
  return before === 'True'
    ? [
        event(
          world,
          'Warning',
          'ApiServerUnreachable',
          `The Kubernetes API does not answer: ${after.message}`,
        ),
      ]
    : [];
}
