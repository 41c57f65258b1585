import { setTimeout as delay } from 'node:timers/promises';
import { type KubernetesObject, systemObjects } from '@rancher/components';
import { recordEvents } from '@rancher/db';
import {
  type Condition,
  type ConditionInput,
  type ConditionType,
  canonicalJson,
  contentHash,
  type EventInput,
  findCondition,
  setCondition,
} from '@rancher/domain';
import { nodeConditions, recordNodes } from './check-nodes.ts';
import type { EtcdView, Node } from './cluster.ts';
import type { Context } from './context.ts';
import { isSimulated } from './simulated.ts';
import { json, loadWorld, type World } from './world.ts';

/** While an environment waits for its cluster it is looked at again so soon (ms), as creation is a time users wait for. */
const pollMs = 100;
/** … for so long within one job (ms); then the next job goes on. */
const pollForMs = 10_000;
const overdueMs = 120_000;
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
    const found = await look(context, world);
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

interface Findings {
  /** An instance of the API server is healthy, so there is something to look at. */
  serves: boolean;
  conditions: ConditionInput[];
  appliedObjectsHash: string | null;
  nodes: Node[] | null;
  events: EventInput[];
}

async function look(context: Context, world: World): Promise<Findings> {
  const { environment } = world;
  const found: Findings = {
    serves: world.instances.some((i) => i.service === 'kube-apiserver' && i.health === 'healthy'),
    conditions: [],
    appliedObjectsHash: environment.appliedObjectsHash,
    nodes: null,
    events: [],
  };
  if (!found.serves) {
    found.conditions.push(waiting(world, 'ApiServerReady', 'NotHealthy', 'No API server is healthy'));
    return found;
  }
  try {
    await context.cluster.readyz(environment.id);
  } catch (error) {
    const lastError = (error as Error).message;
    found.conditions.push(waiting(world, 'ApiServerReady', 'NotReady', `/readyz: ${lastError}`, lastError));
    return found;
  }
  found.conditions.push({
    type: 'ApiServerReady',
    status: 'True',
    reason: 'Ready',
    message: '/readyz answers',
  });
  await Promise.all([
    applyObjects(context, world, found),
    lookAtNodes(context, world, found),
    lookAtEtcd(context, world, found),
  ]);
  return found;
}

async function applyObjects({ cluster }: Context, world: World, found: Findings): Promise<void> {
  const { environment } = world;
  const type = 'ObjectsApplied' as const;
  const objects = systemObjects(environment);
  const hash = contentHash(objects);
  const message = `${objects.length} objects of the system stack are in the cluster`;
  if (hash !== environment.appliedObjectsHash) {
    const failed: { object: KubernetesObject; error: Error }[] = [];
    // One after the other, in order of need: in a cluster that has only just begun, each connection more costs it dear.
    for (const object of objects) {
      await cluster.apply(environment.id, object).catch((error: Error) => failed.push({ object, error }));
    }
    if (failed.length > 0) {
      const [{ object, error }] = failed as [(typeof failed)[number]];
      const what = `${object.kind} ${object.metadata.name}: ${error.message}`;
      found.conditions.push(
        waiting(
          world,
          type,
          'ApplyFailed',
          `${failed.length} of ${objects.length} objects are not applied`,
          what,
        ),
      );
      return;
    }
    found.appliedObjectsHash = hash;
    found.events.push(
      event(world, 'Normal', 'ObjectsApplied', `${objects.length} objects of the system stack were applied`),
    );
  }
  found.conditions.push({ type, status: 'True', reason: 'Applied', message });
}

async function lookAtNodes({ cluster }: Context, world: World, found: Findings): Promise<void> {
  try {
    found.nodes = await cluster.nodes(world.environment.id);
  } catch (error) {
    const lastError = (error as Error).message;
    found.conditions.push(waiting(world, 'NodesReady', 'NotSeen', 'The Nodes cannot be listed', lastError));
    return;
  }
  const { expected, missing } = nodeConditions(world, found.nodes);
  if (expected > 0 && missing.length === 0) {
    const message = `All ${expected} Nodes are Ready`;
    found.conditions.push({ type: 'NodesReady', status: 'True', reason: 'AllReady', message });
    return;
  }
  const message =
    missing.map((m) => `Node ${m.name} is not Ready: ${m.message}`).join('. ') || 'No Node is expected yet';
  found.conditions.push(waiting(world, 'NodesReady', 'NotReady', message));
}

async function lookAtEtcd({ cluster }: Context, world: World, found: Findings): Promise<void> {
  // Nothing waits for it while an environment is made.
  if (world.environment.activeAt === null) return;
  let view: EtcdView;
  try {
    view = await cluster.etcd(world.environment.id);
  } catch (error) {
    const lastError = (error as Error).message;
    found.conditions.push(waiting(world, 'EtcdHealthy', 'NotSeen', 'etcd cannot be asked', lastError));
    return;
  }
  const ill = view.members.filter((m) => !m.healthy);
  const alarms = view.alarms.map((a) => `${a.alarm} on ${a.member}`);
  const troubles = [
    ...ill.map((m) => `${m.name}: ${m.error ?? 'not healthy'}`),
    ...alarms.map((a) => `alarm ${a}`),
  ];
  if (troubles.length === 0) {
    const message = `All ${view.members.length} members are healthy, and there is no alarm`;
    found.conditions.push({ type: 'EtcdHealthy', status: 'True', reason: 'AllHealthy', message });
    return;
  }
  const message = troubles.join('. ');
  const before = findCondition(world.environment.conditions, 'EtcdHealthy')?.message ?? '';
  for (const alarm of alarms.filter((a) => !before.includes(`alarm ${a}`))) {
    found.events.push(event(world, 'Warning', 'EtcdAlarm', `etcd raised an alarm: ${alarm}`));
  }
  found.conditions.push(
    waiting(world, 'EtcdHealthy', alarms.length > 0 ? 'Alarm' : 'MembersUnhealthy', message),
  );
}

/** A condition that is not met, with the deadline that it began with. */
function waiting(
  world: World,
  type: ConditionType,
  reason: string,
  message: string,
  lastError?: string,
): ConditionInput {
  const standing = findCondition(world.environment.conditions, type);
  const deadline =
    standing?.status === 'False' && standing.deadline !== undefined
      ? standing.deadline
      : new Date(Date.now() + overdueMs).toISOString();
  return {
    type,
    status: 'False',
    reason,
    message,
    deadline,
    ...(lastError === undefined ? {} : { lastError }),
  };
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

function event(
  { environment }: World,
  type: EventInput['type'],
  reason: EventInput['reason'],
  message: string,
): EventInput {
  return {
    environmentId: environment.id,
    regarding: { kind: 'Environment', id: environment.id, name: environment.name },
    type,
    reason,
    message,
  };
}
