import { components } from '@rancher/components';
import type { EventInput } from '@rancher/domain';
import { inWords } from '@rancher/planner';
import type { RecoveryDetails } from './etcd-recovery.ts';
import type { Progress } from './host-actions/progress.ts';
import type { OperationRow, World } from './world.ts';

const controlPlane = new Set(components.filter((c) => c.placement === 'control-plane').map((c) => c.name));

/** How far a recovery is: what ran before it is not planned any more, and what took its place is healthy. */
export function recoveryStep(step: string, world: World, { details }: OperationRow): Progress {
  const { survivor, memberId, supersedes } = details as unknown as RecoveryDetails;
  if (step === 'recover-etcd') {
    const planned = world.plan?.instances.find(
      (i) => i.service === 'etcd' && i.hostId === survivor.hostId && i.memberId === memberId,
    );
    if (planned === undefined) return `etcd on ${survivor.host} is to begin anew from what it holds`;
    const seen = world.instances.find((i) => i.id === planned.id);
    return seen?.health === 'healthy'
      ? true
      : `etcd on ${survivor.host} begins anew${seen?.message == null ? '' : `: ${seen.message}`}`;
  }
  const healthy = new Set(world.instances.filter((i) => i.health === 'healthy').map((i) => i.id));
  const connected = new Set(world.hosts.filter((h) => h.state === 'active').map((h) => h.id));
  const waiting = (world.plan?.instances ?? [])
    .filter((i) => controlPlane.has(i.service) && connected.has(i.hostId))
    .filter((i) => supersedes.includes(i.id) || !healthy.has(i.id));
  const names = [...new Set(waiting.map((i) => i.service))];
  return names.length === 0 ? true : `What knows the etcd of before is started anew: ${names.join(', ')}`;
}

/** Told once: when etcd runs again. */
export function recoveryEvents(world: World, before: OperationRow, after: OperationRow): EventInput[] {
  if (after.kind !== 'environment.recoverEtcd') return [];
  const done = ({ steps }: OperationRow) =>
    steps.find((s) => s.name === 'recover-etcd' && s.state === 'succeeded');
  const step = done(after);
  if (step === undefined || done(before) !== undefined) return [];
  const { survivor, memberId, message } = after.details as unknown as RecoveryDetails;
  const durationMs = Date.parse(step.finishedAt!) - Date.parse(after.createdAt);
  return [
    {
      environmentId: world.environment.id,
      hostId: survivor.hostId,
      regarding: { kind: 'EtcdMember', id: memberId, name: `etcd on ${survivor.host}` },
      type: 'Normal',
      reason: 'EtcdRecovered',
      message: `etcd was recovered from what ${survivor.host} held, in ${inWords(durationMs)}. ${message}`,
      data: { durationMs, memberId },
    },
  ];
}
