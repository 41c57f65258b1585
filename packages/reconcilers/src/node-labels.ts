import type { ConditionInput } from '@rancher/domain';
import type { Node } from './cluster.ts';
import type { Context } from './context.ts';
import { isNews, setHostCondition } from './host-row.ts';
import type { HostRow, World } from './world.ts';

/** Field manager (server-side apply) of the labels that Nodes have from their hosts: what it owns is ours, nothing else. */
export const labelManager = 'rancher-host';
/** Registers the Node with the labels that the host joined with, and looks after those of its own that we never set. */
const kubelet = 'kubelet';
const ofKubelet = ['kubernetes.io/hostname', 'kubernetes.io/arch', 'kubernetes.io/os'];

export interface LabelChanges {
  /** What is to be ours; undefined: it is already, with these values. */
  apply: Record<string, string> | undefined;
  /** Ours until now, and to go: applying without them leaves what kubelet registered beside us. */
  remove: string[];
}

/**
 * What makes a Node's labels be its host's. A label that somebody else set or set too is never removed, only taken out
 * of ours; its value is the host's as long as the host has it.
 */
export function labelChanges(
  host: Pick<HostRow, 'labels' | 'joinedLabels'>,
  node: Pick<Node, 'labels' | 'labelManagers'>,
): LabelChanges {
  const wanted = Object.fromEntries(Object.entries(host.labels).filter(([key]) => !ofKubelet.includes(key)));
  const managersOf = (key: string) => node.labelManagers[key] ?? [];
  const keys = Object.keys(node.labels);
  const ours = keys.filter((key) => managersOf(key).includes(labelManager));
  const registered = Object.keys(host.joinedLabels ?? {}).filter((key) => managersOf(key).join() === kubelet);
  const remove = [...new Set([...ours, ...registered])].filter(
    (key) =>
      wanted[key] === undefined &&
      !ofKubelet.includes(key) &&
      managersOf(key).every((manager) => manager === labelManager || manager === kubelet),
  );
  const same =
    ours.length === Object.keys(wanted).length &&
    ours.every((key) => wanted[key] !== undefined && wanted[key] === node.labels[key]);
  return { apply: same ? undefined : wanted, remove };
}

/** Makes the labels of hosts be on their Nodes, and says so as a condition of each host. */
export async function keepLabelsInStep(
  { prisma, cluster }: Context,
  world: World,
  nodes: readonly Node[],
): Promise<void> {
  const byName = new Map(nodes.map((node) => [node.name, node]));
  for (const host of world.hosts) {
    const node = byName.get(host.name);
    if (node === undefined || host.desiredState === 'removed') continue;
    const { apply, remove } = labelChanges(host, node);
    let condition: ConditionInput = inStep;
    try {
      const { id } = world.environment;
      // In this order a crash between the two leaves what the next look mends.
      if (remove.length > 0) {
        const labels = Object.fromEntries(remove.map((key) => [key, null]));
        await cluster.kube(id, 'PATCH', nodePath(node.name), { metadata: { labels } });
      }
      if (apply !== undefined) await cluster.applyNodeLabels(id, node.name, apply);
    } catch (error) {
      const lastError = (error as Error).message;
      const message = `Its labels cannot be set on its Node: ${lastError}`;
      condition = { type: 'LabelsInStep', status: 'False', reason: 'NotApplied', message, lastError };
    }
    const now = new Date();
    if (isNews(host, condition, now)) await setHostCondition(prisma, host.id, condition, now);
  }
}

function nodePath(name: string): string {
  return `/api/v1/nodes/${encodeURIComponent(name)}`;
}

const inStep: ConditionInput = {
  type: 'LabelsInStep',
  status: 'True',
  reason: 'Applied',
  message: 'Its labels are on its Node',
};
