import type { EnvironmentOptions } from '../options.ts';

export interface Taint {
  key: string;
  value?: string;
  effect: string;
}

/** What keeps workload off a host of the control plane, with the key that kubeadm and everybody's add-ons know. */
export const controlPlaneTaint: Taint = {
  key: 'node-role.kubernetes.io/control-plane',
  effect: 'NoSchedule',
};

/** With isolated planes, pods run only where the host says `compute=true`; the other Nodes are tainted. */
export function nodeTaints(options: EnvironmentOptions, labels: Readonly<Record<string, string>>): Taint[] {
  return options.planes === 'isolated' && labels.compute !== 'true' ? [controlPlaneTaint] : [];
}

/** The taints that a Node should have, or null where it has them: only ours comes and goes, others are left alone. */
export function taintsChanged(present: readonly Taint[], wanted: readonly Taint[]): Taint[] | null {
  const isOurs = (t: Taint) => t.key === controlPlaneTaint.key && t.effect === controlPlaneTaint.effect;
  if (present.some(isOurs) === wanted.some(isOurs)) return null;
  return [...present.filter((t) => !isOurs(t)), ...wanted];
}
