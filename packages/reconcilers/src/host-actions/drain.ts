import { Refused } from '../cluster.ts';
import type { Context } from '../context.ts';
import type { BlockedPod, DrainDetails, DrainOptions } from './drain-options.ts';
import { budgetIn, isLeaving, type Pod, podName, podsToGo } from './pods.ts';

/** Evictions asked for at a time: the API server of a small cluster is to serve its users meanwhile. */
const atOnce = 10;
/** What was deleted by force gets this long to go (ms); of a lost host nobody will ever say that it has gone. */
const forcedWithinMs = 60_000;

export interface Drain {
  environmentId: string;
  /** Name of the host, and of its Node. */
  node: string;
  /** Nobody is there to end pods in order. */
  lost: boolean;
  options: DrainOptions;
  /** Pods without a controller may go without `force`: the host they are on is going. */
  unmanagedToo: boolean;
  /** When it was asked for (ms since the epoch). */
  since: number;
}

/**
 * One round of emptying a host: asks for the eviction of each pod that is still there, through the Eviction API (which
 * honours PodDisruptionBudgets), and tells what is left. What was done in a round before is seen in the cluster, so it is
 * begun again anywhere.
 * @throws Error when the Kubernetes API does not answer
 */
export async function drainRound(
  context: Context,
  drain: Drain,
  before: DrainDetails,
  now: Date,
): Promise<DrainDetails> {
  const { environmentId, node, options } = drain;
  const query = `fieldSelector=${encodeURIComponent(`spec.nodeName=${node}`)}`;
  const list = (await context.cluster.kube(environmentId, 'GET', `/api/v1/pods?${query}`)) as {
    items: Pod[];
  };
  const unmanagedToo = options.force || drain.unmanagedToo;
  const { leaving, refusals } = podsToGo(list.items, { ...options, unmanagedToo });
  if (refusals.length > 0) {
    const message = `The host is cordoned, and nothing was evicted: ${refusals.join('; ')}`;
    return { ...before, error: { code: 'drain_refused', message } };
  }
  const pods = {
    total: Math.max(before.pods?.total ?? 0, leaving.length),
    left: leaving.length,
  };
  const { lastError: _, ...kept } = before;
  if (leaving.length === 0) return { ...kept, pods, blocked: [], drainedAt: now.toISOString() };
  const lateMs = now.getTime() - drain.since - options.deadlineSeconds * 1000;
  if (options.force && lateMs >= forcedWithinMs) {
    const skipped = `${leaving.length} pods were deleted, and nobody confirms that they have ended`;
    return { ...kept, pods, blocked: [], skipped, drainedAt: now.toISOString() };
  }
  const staying = leaving.filter((pod) => !isLeaving(pod));
  if (options.force && (lateMs >= 0 || drain.lost)) {
    await inTurns(drain.lost ? leaving : staying, (pod) => deletePod(context, drain, pod));
    return { ...kept, pods, blocked: [] };
  }
  const blocked: BlockedPod[] = [];
  await inTurns(staying, async (pod) => {
    const refusal = await evict(context, drain, pod);
    if (refusal === null) return;
    const standing = before.blocked?.find((b) => `${b.namespace}/${b.pod}` === podName(pod));
    const { name, namespace } = pod.metadata;
    blocked.push({ namespace, pod: name, ...refusal, since: standing?.since ?? now.toISOString() });
  });
  blocked.sort((a, b) => (`${a.namespace}/${a.pod}` < `${b.namespace}/${b.pod}` ? -1 : 1));
  if (lateMs >= 0) {
    const message = `${leaving.length} pods are still there after ${options.deadlineSeconds} s: ${whyLeft(leaving, blocked)}`;
    return { ...kept, pods, blocked, error: { code: 'deadline_exceeded', message } };
  }
  return { ...kept, pods, blocked };
}

/** Null: it leaves, or is gone. Else why it may not leave now. */
async function evict(
  { cluster }: Context,
  { environmentId, options }: Drain,
  { metadata }: Pod,
): Promise<{ budget: string | null; message: string } | null> {
  const { name, namespace, uid } = metadata;
  const grace = options.gracePeriodSeconds;
  const body = {
    apiVersion: 'policy/v1',
    kind: 'Eviction',
    metadata: { name, namespace },
    deleteOptions: {
      // A pod of the same name that came meanwhile is another one.
      preconditions: { uid },
      ...(grace === null ? {} : { gracePeriodSeconds: grace }),
    },
  };
  try {
    await cluster.kube(environmentId, 'POST', `/api/v1/namespaces/${namespace}/pods/${name}/eviction`, body);
    return null;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    // 404: gone; 409: another pod of that name.
    if (error.status === 404 || error.status === 409) return null;
    // 500: more than one budget covers the pod, which the eviction API does not take.
    if (error.status === 429 || error.status === 500) return budgetIn(error.body);
    throw error;
  }
}

async function deletePod({ cluster }: Context, drain: Drain, { metadata }: Pod): Promise<void> {
  const { name, namespace, uid } = metadata;
  const grace = drain.lost ? 0 : drain.options.gracePeriodSeconds;
  const body = { preconditions: { uid }, ...(grace === null ? {} : { gracePeriodSeconds: grace }) };
  try {
    await cluster.kube(drain.environmentId, 'DELETE', `/api/v1/namespaces/${namespace}/pods/${name}`, body);
  } catch (error) {
    if (!(error instanceof Refused) || (error.status !== 404 && error.status !== 409)) throw error;
  }
}

async function inTurns(pods: readonly Pod[], run: (pod: Pod) => Promise<void>): Promise<void> {
  for (let i = 0; i < pods.length; i += atOnce) await Promise.all(pods.slice(i, i + atOnce).map(run));
}

function whyLeft(leaving: readonly Pod[], blocked: readonly BlockedPod[]): string {
  if (blocked.length > 0) return blocked.map(blockedWords).join('; ');
  const names = leaving.slice(0, 5).map(podName).join(', ');
  return `${names} ${leaving.length > 5 ? `and ${leaving.length - 5} more ` : ''}have not ended`;
}

export function blockedWords({ namespace, pod, budget, message, since }: BlockedPod): string {
  const by = budget === null ? 'a budget' : `PodDisruptionBudget ${budget}`;
  return `${by} keeps ${namespace}/${pod} since ${since}: ${message}`;
}
