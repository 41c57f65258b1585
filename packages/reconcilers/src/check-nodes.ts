import { nodeTaints, type Taint, taintsChanged } from '@rancher/components';
import { type ConditionInput, type EventInput, findCondition } from '@rancher/domain';
import type { Cluster, Node } from './cluster.ts';
import type { Context } from './context.ts';
import { setUnschedulable } from './host-actions/advance.ts';
import { changeHost, setHostCondition } from './host-row.ts';
import type { HostRow, World } from './world.ts';

type Readiness = Pick<Node, 'name' | 'ready' | 'message'>;

/** The Nodes that hosts with a kubelet should be, and those of them that are not Ready. */
export function nodeConditions(
  world: World,
  nodes: readonly Node[],
): { expected: number; missing: Readiness[] } {
  const hosts = kubeletHosts(world);
  const byName = new Map(nodes.map((n) => [n.name, n]));
  const missing = hosts
    .map(
      (h): Readiness =>
        byName.get(h.name) ?? {
          name: h.name,
          ready: false,
          message: 'it has not joined the cluster yet',
        },
    )
    .filter((n) => !n.ready)
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  return { expected: hosts.length, missing };
}

function kubeletHosts(world: World): HostRow[] {
  const planned = new Set(world.plan?.instances.filter((i) => i.service === 'kubelet').map((i) => i.hostId));
  return world.hosts.filter((h) => planned.has(h.id));
}

/**
 * Keeps each Node's readiness as its host's condition `Ready`, and deletes the Nodes of hosts that were removed.
 * @returns events of those that turned
 */
export async function recordNodes(
  context: Context,
  world: World,
  nodes: readonly Node[],
  now: Date,
): Promise<EventInput[]> {
  const events: EventInput[] = [];
  const byName = new Map(nodes.map((n) => [n.name, n]));
  for (const host of kubeletHosts(world)) {
    const node = byName.get(host.name);
    const before = findCondition(host.conditions, 'Ready');
    if (node === undefined || (before?.status === 'True') === node.ready) {
      if (node === undefined || before?.reason.startsWith('Node') === true) continue;
    }
    const next: ConditionInput = node.ready
      ? { type: 'Ready', status: 'True', reason: 'NodeReady', message: 'Its Node is Ready' }
      : {
          type: 'Ready',
          status: 'False',
          reason: 'NodeNotReady',
          message: node.message,
          lastError: node.message,
        };
    await setHostCondition(context.prisma, host.id, next, now);
    // One that joins is not ready at first: that is no news.
    if (node.ready || before?.status === 'True') events.push(turned(world, host, node));
  }
  await keepCordons(context, world, byName);
  await keepTaints(context, world, byName);
  await deleteLeftNodes(context, world, nodes);
  return events;
}

/** A Node is cordoned as its host is to be, also one that registers anew; where nothing is said of it, users are free. */
async function keepCordons(context: Context, world: World, nodes: ReadonlyMap<string, Node>): Promise<void> {
  for (const host of kubeletHosts(world)) {
    const node = nodes.get(host.name);
    if (node === undefined || host.unschedulable === null) continue;
    if (node.unschedulable !== host.unschedulable)
      await setUnschedulable(context, world.environment.id, host.name, host.unschedulable).catch((error) =>
        context.logger.warn({ err: error, host: host.id }, 'node not cordoned as its host is to be'),
      );
    else if (!host.unschedulable)
      await changeHost(context.prisma, host.id, (row) =>
        row.unschedulable === false ? { unschedulable: null } : null,
      );
  }
}

/** Planes that are isolated, or no longer, and labels that change: the Nodes follow. */
async function keepTaints(
  { cluster, logger }: Context,
  world: World,
  nodes: ReadonlyMap<string, Node>,
): Promise<void> {
  const { id, options } = world.environment;
  for (const host of kubeletHosts(world)) {
    const present = nodes.get(host.name)?.taints;
    const wanted = nodeTaints(options, host.labels);
    if (present === undefined || taintsChanged(present, wanted) === null) continue;
    await taint(cluster, id, host.name, wanted).catch((error) =>
      logger.warn({ err: error, host: host.id }, 'node not tainted as its host is to be'),
    );
  }
}

/** On the very version that was read: Kubernetes itself writes taints too, and the list is replaced as a whole. */
async function taint(cluster: Cluster, environmentId: string, name: string, wanted: Taint[]): Promise<void> {
  const path = `/api/v1/nodes/${encodeURIComponent(name)}`;
  const { metadata, spec } = (await cluster.kube(environmentId, 'GET', path)) as {
    metadata: { resourceVersion: string };
    spec: { taints?: Taint[] };
  };
  const taints = taintsChanged(spec.taints ?? [], wanted);
  if (taints === null) return;
  const { resourceVersion } = metadata;
  await cluster.kube(environmentId, 'PATCH', path, { metadata: { resourceVersion }, spec: { taints } });
}

function turned(world: World, host: HostRow, node: Node): EventInput {
  return {
    environmentId: world.environment.id,
    hostId: host.id,
    regarding: { kind: 'Host', id: host.id, name: host.name },
    type: node.ready ? 'Normal' : 'Warning',
    reason: node.ready ? 'NodeReady' : 'NodeNotReady',
    message: node.ready ? `Node ${host.name} is Ready` : `Node ${host.name} is not Ready: ${node.message}`,
  };
}

/** Only Nodes that were hosts of ours: others may have been made by users. */
async function deleteLeftNodes(
  { prisma, cluster, logger }: Context,
  world: World,
  nodes: readonly Node[],
): Promise<void> {
  const living = new Set(world.hosts.map((h) => h.name));
  const candidates = nodes.map((n) => n.name).filter((name) => !living.has(name));
  if (candidates.length === 0) return;
  const left = await prisma.host.findMany({
    where: { environmentId: world.environment.id, name: { in: candidates }, removedAt: { not: null } },
    select: { name: true },
  });
  for (const { name } of left) {
    await cluster.deleteNode(world.environment.id, name).catch((error: Error) => {
      logger.warn(
        { err: error, environmentId: world.environment.id, node: name },
        'node of a removed host not deleted',
      );
    });
  }
}
