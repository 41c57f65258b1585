import { type Operation, type Queryable, recordEvents } from '@rancher/db';
import {
  chooseSurvivor,
  loadWorld,
  type MemberAnswer,
  type RecoveryChoice,
  recordRecovery,
  type World,
} from '@rancher/reconcilers';
import { type KeyPrincipal, notFound } from '../auth/principal.ts';
import type { Context } from '../context.ts';
import { askMember } from '../streams/etcd-survivor.ts';
import { createOperation } from './operations.ts';
import { wake } from './wake.ts';

const kind = 'environment.recoverEtcd';

interface Assessed {
  world: World;
  choice: RecoveryChoice;
}

/**
 * Asks every member what it holds, and whether it has quorum; or finds a recovery under way, whose members are not to be
 * asked again.
 * @throws DomainError `conflict` where there is nothing to recover, or nothing to recover from; `invalid_value` for the host
 */
export async function assessRecovery(
  context: Context,
  environmentId: string,
  { hostId, dryRun }: { hostId: string | undefined; dryRun: boolean },
): Promise<Assessed | { underWay: Operation }> {
  const underWay = dryRun ? null : await findUnderWay(context.prisma, environmentId);
  if (underWay !== null) return { underWay };
  const world = await loadWorld(context.prisma, environmentId);
  if (world === null) throw notFound('environment', environmentId);
  const asked = await Promise.all(world.members.map((m) => ask(context, environmentId, m.hostId)));
  const answers = asked.filter((a) => a !== null);
  return { world, choice: chooseSurvivor(world, answers, new Date(), hostId) };
}

/** Null: it does not answer. */
async function ask(
  { upstreams }: Context,
  environmentId: string,
  hostId: string,
): Promise<MemberAnswer | null> {
  const found = await askMember(upstreams, environmentId, hostId).catch(() => null);
  return found === null ? null : { hostId, ...found };
}

/** Intends the recovery, which the reconciler carries through. Asked for twice at once, there is one. */
export async function startRecovery(
  context: Context,
  by: KeyPrincipal,
  { world, choice }: Assessed,
): Promise<Operation> {
  const { id, name } = world.environment;
  const target = { kind: 'Environment', id, name } as const;
  const operation = await context.prisma.$transaction(async (tx) => {
    await tx.$executeRaw`SELECT 1 FROM "Environment" WHERE "id" = ${id} FOR UPDATE`;
    const underWay = await findUnderWay(tx, id);
    if (underWay !== null) return underWay;
    const details = await recordRecovery(tx, world, choice, new Date());
    const created = await createOperation(tx, by, kind, id, target, { details });
    await recordEvents(tx, [
      {
        environmentId: id,
        regarding: target,
        type: 'Warning',
        reason: 'OperationStarted',
        message: `Recovery of etcd, asked for by key ${by.name}. ${choice.message}`,
      },
    ]);
    return created;
  });
  await wake(context, id);
  return operation;
}

function findUnderWay(db: Pick<Queryable, 'operation'>, environmentId: string): Promise<Operation | null> {
  return db.operation.findFirst({
    where: { environmentId, kind, state: { in: ['pending', 'running'] } },
    orderBy: { createdAt: 'desc' },
  });
}
