import type { Host, Prisma, PrismaClient } from '@rancher/db';
import type { Condition } from '@rancher/domain';

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

export function conditionsOf(host: { conditions: unknown }): Condition[] {
  return host.conditions as Condition[];
}
