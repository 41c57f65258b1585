import { type KubernetesObject, systemObjects } from '@rancher/components';
import {
  type ConditionInput,
  type ConditionType,
  contentHash,
  type EventInput,
  findCondition,
} from '@rancher/domain';
import { nodeConditions } from './check-nodes.ts';
import { ApiGone, type EtcdView, type Node } from './cluster.ts';
import type { Context } from './context.ts';
import type { World } from './world.ts';

const overdueMs = 120_000;

/** What one look into a cluster found. */
export interface Findings {
  /** An instance of the API server is healthy, so there is something to look at. */
  serves: boolean;
  conditions: ConditionInput[];
  appliedObjectsHash: string | null;
  nodes: Node[] | null;
  etcd: EtcdView | null;
  events: EventInput[];
}

/** Null: our own API is away, so there is nothing to be said of the cluster. The sweep comes again. */
export async function lookInto(context: Context, world: World): Promise<Findings | null> {
  try {
    return await look(context, world);
  } catch (error) {
    if (!(error instanceof ApiGone)) throw error;
    context.logger.info({ err: error, environmentId: world.environment.id }, 'cluster not looked at');
    return null;
  }
}

/** For the `catch` of a look: what failed, unless it was our own API. */
function failure(error: unknown): string {
  if (error instanceof ApiGone) throw error;
  return (error as Error).message;
}

async function look(context: Context, world: World): Promise<Findings> {
  const { environment } = world;
  const found: Findings = {
    serves: world.instances.some((i) => i.service === 'kube-apiserver' && i.health === 'healthy'),
    conditions: [],
    appliedObjectsHash: environment.appliedObjectsHash,
    nodes: null,
    etcd: null,
    events: [],
  };
  if (!found.serves) {
    found.conditions.push(waiting(world, 'ApiServerReady', 'NotHealthy', 'No API server is healthy'));
    return found;
  }
  try {
    await context.cluster.readyz(environment.id);
  } catch (error) {
    const lastError = failure(error);
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
    const failed: { object: KubernetesObject; message: string }[] = [];
    // One after the other, in order of need: in a cluster that has only just begun, each connection more costs it dear.
    for (const object of objects) {
      await cluster
        .apply(environment.id, object)
        .catch((error) => failed.push({ object, message: failure(error) }));
    }
    if (failed.length > 0) {
      const { object, message } = failed[0]!;
      const what = `${object.kind} ${object.metadata.name}: ${message}`;
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
    const lastError = failure(error);
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
    const lastError = failure(error);
    found.conditions.push(waiting(world, 'EtcdHealthy', 'NotSeen', 'etcd cannot be asked', lastError));
    return;
  }
  found.etcd = view;
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

export function event(
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
