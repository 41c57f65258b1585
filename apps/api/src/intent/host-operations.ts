import { type Host, type Operation, type Prisma, recordEvents } from '@rancher/db';
import type { DrainDetails } from '@rancher/reconcilers';
import type { KeyPrincipal } from '../auth/principal.ts';
import type { Context } from '../context.ts';
import { createOperation, type OperationKind } from './operations.ts';
import { wake } from './wake.ts';

export interface HostWish {
  kind: OperationKind;
  /** What changes of the host's intent. */
  data?: Prisma.HostUpdateInput;
  /** What the user chose, kept with the operation. */
  options?: object;
  /** What is known of it from the beginning. */
  details?: DrainDetails;
}

/**
 * Writes what is wanted of a host, with the operation that carries it through, and wakes who does. Asked for again while
 * that is under way, it is the same operation.
 */
export async function askOfHost(
  context: Context,
  by: KeyPrincipal,
  host: Host & { environmentId: string },
  { kind, data = {}, ...kept }: HostWish,
): Promise<Operation> {
  const { environmentId } = host;
  const target = { kind: 'Host', id: host.id, name: host.name } as const;
  const operation = await context.prisma.$transaction(async (tx) => {
    // The lock makes two requests at once one after the other.
    await tx.$executeRaw`SELECT 1 FROM "Host" WHERE "id" = ${host.id} FOR UPDATE`;
    const underWay = await tx.operation.findFirst({
      where: {
        environmentId,
        kind,
        state: { in: ['pending', 'running'] },
        target: { path: ['id'], equals: host.id },
      },
    });
    if (underWay !== null) return underWay;
    await tx.host.update({
      where: { id: host.id },
      data: { ...data, generation: { increment: 1 }, resourceVersion: { increment: 1 } },
    });
    await recordEvents(tx, [
      {
        environmentId,
        hostId: host.id,
        regarding: target,
        type: 'Normal',
        reason: 'OperationStarted',
        message: `${kind} of ${host.name}, asked for by key ${by.name}`,
      },
    ]);
    return createOperation(tx, by, kind, environmentId, target, kept);
  });
  await wake(context, environmentId, host.machineId === null ? [] : [host.machineId]);
  // What is to be done in the cluster; the sweep finds it too.
  await context.queue
    .enqueue('advance-host-operation', { operationId: operation.id })
    .catch((err: unknown) => context.logger.warn({ err, operationId: operation.id }, 'wake-up lost'));
  return operation;
}
