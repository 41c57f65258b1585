import { type Environment, type Operation, recordEvents } from '@rancher/db';
import type { EnvironmentDesiredState, EnvironmentState, EventReason } from '@rancher/domain';
import type { KeyPrincipal } from '../../../auth/principal.ts';
import type { Context } from '../../../context.ts';
import { createOperation } from '../../../intent/operations.ts';
import { wake } from '../../../intent/wake.ts';

const verbs = {
  active: {
    kind: 'environment.activate',
    state: 'activating',
    reason: 'EnvironmentUpdated',
    word: 'activated',
  },
  inactive: {
    kind: 'environment.deactivate',
    state: 'deactivating',
    reason: 'EnvironmentDeactivated',
    word: 'deactivated',
  },
  removed: { kind: 'environment.remove', state: 'removing', reason: 'EnvironmentRemoving', word: 'removed' },
} as const satisfies Record<
  EnvironmentDesiredState,
  { kind: string; state: EnvironmentState; reason: EventReason; word: string }
>;

/**
 * Writes what is wanted of an environment, with the operation that carries it through. Asked for again while that is
 * under way, it answers with the operation that there is.
 */
export async function setDesiredState(
  context: Context,
  by: KeyPrincipal,
  environment: Environment,
  desiredState: EnvironmentDesiredState,
): Promise<Operation> {
  const { kind, state, reason, word } = verbs[desiredState];
  const target = { kind: 'Environment', id: environment.id, name: environment.name } as const;
  const operation = await context.prisma.$transaction(async (tx) => {
    // The lock makes two requests at once one after the other.
    await tx.$executeRaw`SELECT 1 FROM "Environment" WHERE "id" = ${environment.id} FOR UPDATE`;
    const underWay = await tx.operation.findFirst({
      where: { environmentId: environment.id, kind, state: { in: ['pending', 'running'] } },
      orderBy: { createdAt: 'desc' },
    });
    if (underWay !== null) return underWay;
    await tx.environment.update({
      where: { id: environment.id },
      data: { desiredState, state, generation: { increment: 1 }, resourceVersion: { increment: 1 } },
    });
    const created = await createOperation(tx, by, kind, environment.id, target);
    await recordEvents(tx, [
      {
        environmentId: environment.id,
        regarding: target,
        type: 'Normal',
        reason,
        message: `Environment ${environment.name} is to be ${word}, asked for by key ${by.name}`,
      },
    ]);
    return created;
  });
  await wake(context, environment.id);
  return operation;
}
