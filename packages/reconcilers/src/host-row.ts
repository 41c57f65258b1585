import type { Host, Prisma, PrismaClient } from '@rancher/db';
import { type Condition, type ConditionInput, setCondition } from '@rancher/domain';
import { json } from './world.ts';

/** How often a change is tried again on what somebody else wrote meanwhile. */
const writes = 20;

/**
 * Changes a host's row on the very version that was read, again where somebody else wrote meanwhile: its agent, its
 * machine's agent, its peers and its Node all tell of it at the same time, each its own condition.
 * @param change what to write, given the row; null: nothing
 * @returns whether anything was written
 */
export async function changeHost(
  prisma: PrismaClient,
  hostId: string,
  change: (host: Host) => Prisma.HostUpdateManyMutationInput | null,
): Promise<boolean> {
  for (let i = 0; i < writes; i += 1) {
    const host = await prisma.host.findUnique({ where: { id: hostId } });
    const data = host === null ? null : change(host);
    if (host === null || data === null) return false;
    const { count } = await prisma.host.updateMany({
      where: { id: hostId, resourceVersion: host.resourceVersion },
      data: { ...data, resourceVersion: { increment: 1 } },
    });
    if (count > 0) return true;
  }
  throw new Error(`Host ${hostId} could not be written: it changes all the time`);
}

/** Makes a host have a condition. Where it has it already, nothing is written. */
export async function setHostCondition(
  prisma: PrismaClient,
  hostId: string,
  condition: ConditionInput,
  now: Date,
): Promise<void> {
  await changeHost(prisma, hostId, (row) =>
    isNews(row, condition, now)
      ? { conditions: json(setCondition(conditionsOf(row), condition, now)) }
      : null,
  );
}

/** Whether a condition says other than what its host has. */
export function isNews(host: { conditions: unknown }, condition: ConditionInput, now: Date): boolean {
  const before = conditionsOf(host);
  return JSON.stringify(before) !== JSON.stringify(setCondition(before, condition, now));
}

export function conditionsOf(host: { conditions: unknown }): Condition[] {
  return host.conditions as Condition[];
}
