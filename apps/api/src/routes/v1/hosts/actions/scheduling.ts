import { DomainError } from '@rancher/domain';
import type { App, Context } from '../../../../context.ts';
import { component } from '../../../../http/components.ts';
import { closed, idempotencyHeaders, idParams, problems } from '../../../../http/schemas.ts';
import { askOfHost } from '../../../../intent/host-operations.ts';
import { accepted } from '../../../../intent/operations.ts';
import { caller } from '../../../../plugins/app/authentication.ts';
import { type OperationView, operationSchema, operationView } from '../../operations/schema.ts';
import { findHostOfEnvironment } from '../find.ts';
import { drainFields } from './drain-fields.ts';

const drainOptions = component('DrainOptions', closed(drainFields));
const responses = {
  202: operationSchema,
  ...problems('unknown_field', 'not_found', 'conflict', 'idempotency_mismatch', 'wrong_host_kind'),
};

/** `cordon`: its Node takes no new pods. `uncordon`: it does again; a host that was evacuated becomes one of the cluster anew. */
export function cordonActions(app: App, context: Context): void {
  for (const [action, unschedulable, summary] of [
    ['cordon', true, 'Let a host take no new pods'],
    ['uncordon', false, 'Let a host take new pods again; one that was evacuated joins its cluster again'],
  ] as const) {
    app.post(
      `/v1/hosts/:id/actions/${action}`,
      {
        schema: {
          operationId: `${action}Host`,
          tags: ['hosts'],
          summary,
          params: idParams,
          headers: idempotencyHeaders,
          response: responses,
        },
      },
      async (request, reply): Promise<OperationView> => {
        const host = await findHostOfEnvironment(context.prisma, request, request.params.id);
        await assertCluster(context, host.environmentId);
        const operation = await askOfHost(context, caller(request), host, {
          kind: `host.${action}`,
          data: { unschedulable, ...(unschedulable ? {} : { evacuated: false }) },
        });
        accepted(reply, operation);
        return operationView(operation);
      },
    );
  }
}

/**
 * `drain`: cordon, then evict its pods, as budgets allow. `evacuate`: after that, the whole system stack leaves it too, and
 * its Node goes, as a Node without a kubelet would only be NotReady, with pods of DaemonSets that nobody ends.
 */
export function drainActions(app: App, context: Context): void {
  for (const [action, summary, description] of [
    [
      'drain',
      'Evict the pods of a host, as PodDisruptionBudgets allow',
      'Pods of DaemonSets and mirror pods stay.',
    ],
    [
      'evacuate',
      'Drain a host, and take the system stack off it, until it is uncordoned',
      'What can run elsewhere moves; then the rest is stopped, with what pods are left, and its Node is removed.',
    ],
  ] as const) {
    app.post(
      `/v1/hosts/:id/actions/${action}`,
      {
        schema: {
          operationId: `${action}Host`,
          tags: ['hosts'],
          summary,
          description: `${description} What blocks it is in the operation, with its time.`,
          params: idParams,
          headers: idempotencyHeaders,
          body: drainOptions,
          response: responses,
        },
      },
      async (request, reply): Promise<OperationView> => {
        const host = await findHostOfEnvironment(context.prisma, request, request.params.id);
        await assertCluster(context, host.environmentId);
        if (action === 'evacuate') await assertElsewhere(context, host);
        const operation = await askOfHost(context, caller(request), host, {
          kind: `host.${action}`,
          data: { unschedulable: true },
          options: request.body,
        });
        accepted(reply, operation);
        return operationView(operation);
      },
    );
  }
}

/** @throws DomainError `conflict` while the environment never had a cluster */
async function assertCluster({ prisma }: Context, environmentId: string): Promise<void> {
  const { activeAt, name } = await prisma.environment.findUniqueOrThrow({ where: { id: environmentId } });
  if (activeAt !== null) return;
  throw new DomainError('conflict', `Environment ${name} has no cluster yet: it is still being made.`);
}

/** @throws DomainError `conflict` when no other host could take what it has */
async function assertElsewhere(
  { prisma }: Context,
  host: { id: string; name: string; environmentId: string },
): Promise<void> {
  const others = await prisma.host.count({
    where: {
      environmentId: host.environmentId,
      id: { not: host.id },
      removedAt: null,
      desiredState: 'active',
      state: 'active',
      evacuated: false,
    },
  });
  if (others > 0) return;
  throw new DomainError(
    'conflict',
    `There is no other host that could take what runs on ${host.name}: add one first.`,
  );
}
