import type { Host } from '@rancher/db';
import {
  type Condition,
  type ConditionInput,
  type EventInput,
  findCondition,
  type HostFacts,
  setCondition,
} from '@rancher/domain';
import { conditionsOf } from './host-row.ts';

/** What a host's facts say of its disks, as a condition. One whose disks never were full has none. */
export function withDisk(conditions: readonly Condition[], facts: HostFacts, now: Date): Condition[] {
  if (facts.fullDisk === undefined && findCondition(conditions, 'DiskPressure') === undefined)
    return [...conditions];
  return setCondition(conditions, diskCondition(facts), now);
}

/** What is told when a disk of a host has filled up, or has room again. */
export function diskEvents(
  before: Pick<Host, 'id' | 'name' | 'environmentId' | 'conditions'>,
  facts: HostFacts,
): EventInput[] {
  const full = facts.fullDisk !== undefined;
  const wasFull = findCondition(conditionsOf(before), 'DiskPressure')?.status === 'True';
  if (full === wasFull) return [];
  const { id, name, environmentId } = before;
  const about = { environmentId, hostId: id, regarding: { kind: 'Host', id, name } };
  const message = `${name}: ${diskCondition(facts).message}`;
  return full
    ? [{ ...about, type: 'Warning', reason: 'DiskFull', message }]
    : [{ ...about, type: 'Normal', reason: 'DiskFreed', message }];
}

function diskCondition({ fullDisk }: HostFacts): ConditionInput {
  if (fullDisk === undefined) {
    const message = 'The disks that its services write to have room';
    return { type: 'DiskPressure', status: 'False', reason: 'HasRoom', message };
  }
  const { path, bytes, freeBytes } = fullDisk;
  return {
    type: 'DiskPressure',
    status: 'True',
    reason: 'NearlyFull',
    message: `The disk of ${path} has ${inMebibytes(freeBytes)} of ${inMebibytes(bytes)} left; what cannot write any more ends: free some`,
  };
}

function inMebibytes(bytes: number): string {
  return `${Math.round(bytes / 1024 ** 2)} MiB`;
}
