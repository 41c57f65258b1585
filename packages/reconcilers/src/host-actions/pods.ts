import type { DrainOptions } from './drain-options.ts';

/** Of a Pod, what a drain goes by. */
export interface Pod {
  metadata: {
    name: string;
    namespace: string;
    uid: string;
    annotations?: Record<string, string>;
    deletionTimestamp?: string;
    ownerReferences?: { kind: string; name: string; controller?: boolean }[];
  };
  spec: { volumes?: { name: string; emptyDir?: object | null }[] };
  status?: { phase?: string };
}

/** What becomes of the pods of a host that is drained, by the rules of `kubectl drain`. */
export interface PodsToGo {
  /** To be evicted, or leaving already. */
  leaving: Pod[];
  /** Reasons why the drain must not begin, each naming its pod and the option that would allow it. */
  refusals: string[];
}

/** kubelet's own pods, from files on the host: the API has only a picture of them. */
const mirrorAnnotation = 'kubernetes.io/config.mirror';

/**
 * Which pods leave. A DaemonSet's pods stay, as it would put them back at once, and so do mirror pods. Pure.
 * @param unmanagedToo pods without a controller may go, as with `force`
 */
export function podsToGo(
  pods: readonly Pod[],
  options: Pick<DrainOptions, 'deleteEmptyDirData'> & { unmanagedToo: boolean },
): PodsToGo {
  const result: PodsToGo = { leaving: [], refusals: [] };
  for (const pod of pods) {
    const owner = pod.metadata.ownerReferences?.find((o) => o.controller === true);
    if (pod.metadata.annotations?.[mirrorAnnotation] !== undefined || owner?.kind === 'DaemonSet') continue;
    const name = podName(pod);
    // What has ended, or is ending, loses nothing more.
    const ended = ['Succeeded', 'Failed'].includes(pod.status?.phase ?? '') || isLeaving(pod);
    if (!ended && owner === undefined && !options.unmanagedToo)
      result.refusals.push(`nobody would make pod ${name} again (force allows it)`);
    if (!ended && !options.deleteEmptyDirData && pod.spec.volumes?.some((v) => v.emptyDir != null) === true)
      result.refusals.push(`pod ${name} would lose its emptyDir (deleteEmptyDirData allows it)`);
    result.leaving.push(pod);
  }
  return result;
}

export function isLeaving(pod: Pod): boolean {
  return pod.metadata.deletionTimestamp !== undefined;
}

export function podName({ metadata }: Pod): string {
  return `${metadata.namespace}/${metadata.name}`;
}

/**
 * Which budget refuses an eviction, from the answer 429 of the eviction API: its details have a cause `DisruptionBudget`
 * that names it (kubernetes/pkg/registry/core/pod/storage/eviction.go).
 */
export function budgetIn(body: string): { budget: string | null; message: string } {
  try {
    const status = JSON.parse(body) as {
      message?: string;
      details?: { causes?: { reason?: string; message?: string }[] };
    };
    const cause = status.details?.causes?.find((c) => c.reason === 'DisruptionBudget')?.message;
    const budget = cause === undefined ? null : (/disruption budget (\S+)/.exec(cause)?.[1] ?? null);
    return { budget, message: cause ?? status.message ?? 'a budget refuses it' };
  } catch {
    return { budget: null, message: body.slice(0, 300) };
  }
}
