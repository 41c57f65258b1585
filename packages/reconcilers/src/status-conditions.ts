import {
  type Condition,
  type ConditionInput,
  type EnvironmentState,
  findCondition,
  type Plan,
} from '@rancher/domain';
import { isWiping } from './removal.ts';
import type { InstanceRow, World } from './world.ts';

/** How long the system stack may be not wholly healthy before its condition is overdue (ms). */
const healthyWithinMs = 120_000;
export function stackCondition(
  world: World,
  target: Plan | null,
  seen: ReadonlyMap<string, InstanceRow>,
  now: Date,
): ConditionInput {
  const type = 'SystemStackHealthy' as const;
  const planned = target?.instances ?? [];
  const waiting = planned.filter((i) => seen.get(i.id)?.health !== 'healthy');
  if (planned.length > 0 && waiting.length === 0) {
    return {
      type,
      status: 'True',
      reason: 'AllHealthy',
      message: `All ${planned.length} instances are healthy`,
    };
  }
  const worse = waiting.some((i) => ['unhealthy', 'unknown'].includes(seen.get(i.id)?.health ?? ''));
  const reason = planned.length === 0 ? 'NothingPlanned' : worse ? 'InstancesUnhealthy' : 'InstancesStarting';
  const standing = findCondition(world.environment.conditions, type);
  const deadline =
    standing?.reason === reason && standing.deadline !== undefined
      ? standing.deadline
      : new Date(now.getTime() + healthyWithinMs).toISOString();
  const hostNames = new Map(world.hosts.map((h) => [h.id, h.name]));
  const named = waiting.slice(0, 5).map((i) => {
    const row = seen.get(i.id);
    const why = row?.message == null ? '' : `: ${row.message}`;
    return `${i.service} on ${hostNames.get(i.hostId) ?? i.hostId} (${row?.state ?? 'pending'}${why})`;
  });
  const more = waiting.length > 5 ? ` and ${waiting.length - 5} more` : '';
  const message =
    planned.length === 0 ? 'No instance is planned yet' : `Not healthy: ${named.join(', ')}${more}`;
  const troubled = waiting.map((i) => seen.get(i.id)).find((row) => row?.logTail != null);
  return {
    type,
    status: 'False',
    reason,
    message,
    deadline,
    ...(troubled?.message == null ? {} : { lastError: troubled.message }),
    ...(troubled?.logTail == null ? {} : { logTail: troubled.logTail.slice(-10) }),
  };
}

export function readyCondition(
  state: EnvironmentState,
  conditions: readonly Condition[],
  missing: readonly string[],
): ConditionInput {
  const type = 'Ready' as const;
  if (missing.length === 0)
    return { type, status: 'True', reason: 'AllReady', message: 'Everything is ready' };
  const first = missing.map((m) => conditions.find((c) => c.type === m)).find((c) => c !== undefined);
  const reason = state[0]!.toUpperCase() + state.slice(1);
  return {
    type,
    status: 'False',
    reason,
    message: `Waits for ${missing.join(', ')}${first === undefined ? '' : `. ${first.message}`}`,
    ...(first?.deadline === undefined ? {} : { deadline: first.deadline }),
  };
}

export function removingCondition({ hosts, instances }: World): ConditionInput {
  const running = hosts.filter((h) => !isWiping(h) && instances.some((i) => i.hostId === h.id));
  const what = running.length > 0 ? 'being stopped' : 'being wiped';
  const names = (running.length > 0 ? running : hosts).map((h) => h.name).join(', ');
  const message = names === '' ? 'The rest is being removed' : `${names}: ${what}`;
  return { type: 'Ready', status: 'False', reason: 'Removing', message };
}

export const simulatedConditions: ConditionInput[] = (
  ['ApiServerReady', 'ObjectsApplied', 'NodesReady'] as const
).map((type) => ({
  type,
  status: 'True',
  reason: 'Simulated',
  message: 'All hosts are simulated: there is no cluster to look at',
}));
