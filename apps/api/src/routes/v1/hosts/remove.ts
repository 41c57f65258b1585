import { channels } from '@rancher/contracts';
import { type Host, notify } from '@rancher/db';
import { DomainError } from '@rancher/domain';
import { previewPlan, runtimeLabel } from '@rancher/reconcilers';
import { type Static, Type } from 'typebox';
import type { App, Context } from '../../../context.ts';
import { checkIfMatch } from '../../../http/etag.ts';
import { closed, dryRunQuery, idParams, ifMatchHeaders, problems } from '../../../http/schemas.ts';
import { askOfHost, type HostWish } from '../../../intent/host-operations.ts';
import { accepted } from '../../../intent/operations.ts';
import { caller } from '../../../plugins/app/authentication.ts';
import { type OperationView, operationSchema, operationView } from '../operations/schema.ts';
import { type DryRunResult, dryRunResult, dryRunView } from '../plans/schema.ts';
import { drainFields } from './actions/drain-fields.ts';
import { findHost } from './find.ts';

const removalQuery = {
  deadlineSeconds: drainFields.deadlineSeconds,
  gracePeriodSeconds: drainFields.gracePeriodSeconds,
  force: Type.Optional(
    Type.Boolean({
      description: 'Without draining it: for hosts that are gone, and for those that must go now.',
    }),
  ),
};
type RemovalQuery = Static<typeof removalSchema>;
const removalSchema = Type.Object(removalQuery);

export function removeHost(app: App, context: Context): void {
  app.delete(
    '/v1/hosts/:id',
    {
      schema: {
        operationId: 'deleteHost',
        tags: ['hosts'],
        summary: 'Remove a host: what runs on it is stopped, and its agent forgets this server',
        description:
          'Its pods are evicted first, as budgets allow; it leaves etcd; what runs on it is stopped; it is wiped; its Node ' +
          'goes. `If-Match` is checked when it is sent.',
        params: idParams,
        headers: ifMatchHeaders,
        querystring: closed({ ...dryRunQuery, ...removalQuery }),
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
      const { dryRun: _, ...chosen } = request.query;
      const { environmentId } = host;
      const wish = await wishOf(context, host, chosen);
      const operation = await askOfHost(context, caller(request), { ...host, environmentId }, wish);
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
async function assertNotLastMember(context: Context, host: Host): Promise<void> {
  if (await isLastEtcdMember(context, host)) {
    throw new DomainError('conflict', `Host ${host.name} has the environment's only etcd member.`);
  }
}

export async function isLastEtcdMember({ prisma }: Context, host: Host): Promise<boolean> {
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
  return hosts.size === 1 && hosts.has(host.id);
}

/**
 * Its pods are drained first, and only then it is taken out. Where there is nothing to drain, nobody to do it, or by
 * force, it is taken out at once; pods that no kubelet ends are ended by Kubernetes, once their Node is gone.
 */
async function wishOf({ prisma }: Context, host: Host, query: RemovalQuery): Promise<HostWish> {
  const { force = false, ...chosen } = query;
  const kubelets = await prisma.instance.count({
    where: { hostId: host.id, service: 'kubelet', removedAt: null },
  });
  const environment = await prisma.environment.findUniqueOrThrow({ where: { id: host.environmentId! } });
  const simulated = (host.labels as Record<string, string>)[runtimeLabel] === 'simulated';
  const inCluster = kubelets > 0 && environment.activeAt !== null && !simulated;
  const now = new Date().toISOString();
  if (!force && inCluster && host.state === 'active')
    return { kind: 'host.remove', data: { unschedulable: true }, options: chosen };
  const skipped = !inCluster
    ? `${host.name} is no Node yet`
    : force
      ? 'removed by force'
      : `${host.name} cannot be seen`;
  return {
    kind: 'host.remove',
    data: { desiredState: 'removed' },
    options: { ...chosen, force },
    details: {
      cordonedAt: now,
      drainedAt: now,
      skipped,
      ...(inCluster ? {} : { nodeRemovedAt: now }),
    },
  };
}
