import { channels } from '@rancher/contracts';
import { type Host, notify } from '@rancher/db';
import { DomainError } from '@rancher/domain';
import { previewPlan } from '@rancher/reconcilers';
import type { KeyPrincipal } from '../../../auth/principal.ts';
import type { App, Context } from '../../../context.ts';
import { checkIfMatch } from '../../../http/etag.ts';
import { closed, dryRunQuery, idParams, ifMatchHeaders, problems } from '../../../http/schemas.ts';
import { accepted, createOperation } from '../../../intent/operations.ts';
import { wake } from '../../../intent/wake.ts';
import { caller } from '../../../plugins/app/authentication.ts';
import { type OperationView, operationSchema, operationView } from '../operations/schema.ts';
import { type DryRunResult, dryRunResult, dryRunView } from '../plans/schema.ts';
import { findHost } from './find.ts';

export function removeHost(app: App, context: Context): void {
  app.delete(
    '/v1/hosts/:id',
    {
      schema: {
        operationId: 'deleteHost',
        tags: ['hosts'],
        summary: 'Remove a host: what runs on it is stopped, and its agent forgets this server',
        description: '`If-Match` is checked when it is sent.',
        params: idParams,
        headers: ifMatchHeaders,
        querystring: closed(dryRunQuery),
        response: {
          200: dryRunResult,
          202: operationSchema,
          204: { type: 'null', description: 'Removed: a machine that was of no environment' },
          ...problems('not_found', 'conflict', 'stale_etag'),
        },
      },
    },
    async (request, reply): Promise<OperationView | DryRunResult | null> => {
      const host = await findHost(context.prisma, request, request.params.id);
      checkIfMatch(request, host, false);
      if (host.environmentId === null) {
        await removeMachine(context, host);
        reply.code(204);
        return null;
      }
      await assertNotLastMember(context, host);
      if (request.query.dryRun === true) {
        return dryRunView(await previewPlan(context.prisma, host.environmentId, { removeHostId: host.id }));
      }
      const operation = await write(context, caller(request), host, host.environmentId);
      await wake(context, host.environmentId, host.machineId === null ? [] : [host.machineId]);
      accepted(reply, operation);
      return operationView(operation);
    },
  );
}

async function removeMachine({ prisma }: Context, host: Host): Promise<void> {
  const holds = await prisma.host.count({ where: { machineId: host.id, removedAt: null } });
  if (holds > 0) {
    throw new DomainError('conflict', `Machine ${host.name} has ${holds} local host(s): remove those first.`);
  }
  await prisma.host.update({
    where: { id: host.id },
    data: {
      desiredState: 'removed',
      state: 'removed',
      // Its credential stays known, so that it can be told when it comes back.
      removedAt: new Date(),
      resourceVersion: { increment: 1 },
    },
  });
  // Whichever replica holds its socket tells it.
  await notify(prisma, channels.machine, host.id);
}

/** etcd on this host alone holds the cluster: with it everything would go, and that is what removing the environment is for. */
async function assertNotLastMember({ prisma }: Context, host: Host): Promise<void> {
  const members = await prisma.instance.findMany({
    where: {
      environmentId: host.environmentId!,
      service: 'etcd',
      removedAt: null,
      state: { not: 'removed' },
    },
    select: { hostId: true },
  });
  const hosts = new Set(members.map((m) => m.hostId));
  if (hosts.size === 1 && hosts.has(host.id)) {
    throw new DomainError('conflict', `Host ${host.name} has the environment's only etcd member.`);
  }
}

function write({ prisma }: Context, by: KeyPrincipal, host: Host, environmentId: string) {
  return prisma.$transaction(async (tx) => {
    await tx.$executeRaw`SELECT 1 FROM "Host" WHERE "id" = ${host.id} FOR UPDATE`;
    const underWay = await tx.operation.findFirst({
      where: {
        environmentId,
        kind: 'host.remove',
        state: { in: ['pending', 'running'] },
        target: { path: ['id'], equals: host.id },
      },
    });
    if (underWay !== null) return underWay;
    // Its state stays: it is `removing` once its instances have stopped, which the reconciler sees to.
    await tx.host.update({
      where: { id: host.id },
      data: {
        desiredState: 'removed',
        generation: { increment: 1 },
        resourceVersion: { increment: 1 },
      },
    });
    return createOperation(tx, by, 'host.remove', environmentId, {
      kind: 'Host',
      id: host.id,
      name: host.name,
    });
  });
}
