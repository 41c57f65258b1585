import { findCondition } from '@rancher/domain';
import type { OperationRow, World } from '../world.ts';
import { blockedWords } from './drain.ts';
import { type DrainDetails, drainDefaults, removalDefaults } from './drain-options.ts';

/** How far a step is: done, or in words what it waits for. */
export type Progress = true | string;

/** Steps of a removal that come before its instances are stopped, and the one in the cluster after it. */
export const actionSteps: ReadonlySet<string> = new Set([
  'cordon',
  'evict-pods',
  'leave-etcd',
  'remove-node',
]);

/** How far an action on a host is, from what was found in its cluster and from the plan. */
export function actionStep(step: string, world: World, operation: OperationRow): Progress {
  // With its cluster goes everything that is to be done in it.
  if (world.environment.desiredState === 'removed') return true;
  const details = operation.details as DrainDetails;
  const trouble = details.lastError === undefined ? '' : ` (${details.lastError})`;
  switch (step) {
    case 'cordon':
    case 'uncordon':
      return details.cordonedAt !== undefined ? true : `Its Node has not been told yet${trouble}`;
    case 'evict-pods':
      return details.drainedAt !== undefined ? true : drainWords(details, trouble);
    case 'move-instances':
      return stillHere(world, operation, (service) => service.scale !== null);
    case 'stop-instances':
      return stillHere(world, operation, () => true);
    case 'leave-etcd':
      return details.drainedAt === undefined
        ? 'Its pods come first'
        : stillHere(world, operation, (service) => service.name === 'etcd');
    case 'remove-node':
      return details.nodeRemovedAt !== undefined ? true : `Its Node is still in the cluster${trouble}`;
    default:
      return `Nothing is known of ${step}`;
  }
}

function drainWords({ pods, blocked = [] }: DrainDetails, trouble: string): string {
  if (pods === undefined) return `Its pods are not known yet${trouble}`;
  const count = `${pods.total - pods.left} of ${pods.total} pods have left`;
  return `${[count, ...blocked.map(blockedWords)].join('. ')}${trouble}`;
}

/** Instances of the host that are to leave it and have not; nothing of it is stopped before it runs elsewhere. */
function stillHere(
  world: World,
  { target, details }: OperationRow,
  leaves: (service: World['services'][number]) => boolean,
): Progress {
  const host = world.hosts.find((h) => h.id === target.id);
  if (host === undefined) return true;
  const services = new Set(world.services.filter(leaves).map((s) => s.name));
  const planned = (world.plan?.instances ?? []).filter(
    (i) => i.hostId === host.id && services.has(i.service),
  );
  const decided = host.desiredState === 'removed' || host.evacuated;
  const living =
    host.state === 'active' && (details as DrainDetails).skipped === undefined
      ? world.instances.filter((i) => i.hostId === host.id && services.has(i.service))
      : [];
  const here = [...new Set([...planned, ...living].map((i) => i.service))];
  if (decided && here.length === 0) return true;
  const blocked = findCondition(world.environment.conditions, 'PlanBlocked');
  const why = blocked?.status === 'True' ? `. ${blocked.message}` : '';
  return here.length === 0 ? 'It is about to be planned' : `Still on ${host.name}: ${here.join(', ')}${why}`;
}

/** How long its pods have to leave (ms); with force they get a little longer, to go after they were deleted. */
export function drainDeadlineMs({ kind, options }: Pick<OperationRow, 'kind' | 'options'>): number {
  if (!['host.drain', 'host.evacuate', 'host.remove'].includes(kind)) return 0;
  const defaults = kind === 'host.remove' ? removalDefaults : drainDefaults;
  return 1000 * { ...defaults, ...options }.deadlineSeconds + 60_000;
}
