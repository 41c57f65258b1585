import type { EnvironmentOptions } from '@rancher/components';
import type { Environment } from '@rancher/db';
import { DomainError, derivedId } from '@rancher/domain';
import { previewPlan } from '@rancher/reconcilers';
import type { KeyPrincipal } from '../../../auth/principal.ts';
import type { App, Context } from '../../../context.ts';
import { closed, dryRunQuery, idempotencyHeaders, idParams, problems } from '../../../http/schemas.ts';
import { createLocalHosts, freeNames, type LocalHostWish } from '../../../intent/local-hosts.ts';
import { accepted, createOperation } from '../../../intent/operations.ts';
import { withFreeName } from '../../../intent/unique.ts';
import { wake } from '../../../intent/wake.ts';
import { caller } from '../../../plugins/app/authentication.ts';
import { assertNotRemoving, findEnvironment } from '../environments/find.ts';
import { hostRoom } from '../environments/validate.ts';
import { type OperationView, operationSchema, operationView } from '../operations/schema.ts';
import { type DryRunResult, dryRunResult, dryRunView } from '../plans/schema.ts';
import { hostCreate } from './schema.ts';

export function createHost(app: App, context: Context): void {
  app.post(
    '/v1/environments/:id/hosts',
    {
      schema: {
        operationId: 'createHost',
        tags: ['hosts'],
        summary: 'Add a local host to an environment',
        params: idParams,
        headers: idempotencyHeaders,
        querystring: closed(dryRunQuery),
        body: hostCreate,
        response: {
          200: dryRunResult,
          202: operationSchema,
          ...problems(
            'unknown_field',
            'cidr_too_small',
            'not_found',
            'name_taken',
            'conflict',
            'idempotency_mismatch',
            'host_unreachable',
          ),
        },
      },
    },
    async (request, reply): Promise<OperationView | DryRunResult> => {
      const { prisma } = context;
      const environment = await findEnvironment(prisma, request, request.params.id);
      assertNotRemoving(environment);
      const labels = request.body.labels ?? {};
      const name = await chooseName(context, environment, request.body.name);
      if (request.query.dryRun === true) {
        const id = derivedId('host', environment.id, name);
        return dryRunView(await previewPlan(prisma, environment.id, { addHosts: [{ id, name, labels }] }));
      }
      const { operation, machineIds } = await write(context, caller(request), environment, {
        name,
        labels,
        ...(request.body.network === undefined ? {} : { network: request.body.network }),
      });
      await wake(context, environment.id, machineIds);
      accepted(reply, operation);
      return operationView(operation);
    },
  );
}

/** The name asked for, if it is free, or the next of the environment's. */
async function chooseName(
  context: Context,
  environment: Environment,
  asked: string | undefined,
): Promise<string> {
  const hosts = await context.prisma.host.findMany({
    where: { environmentId: environment.id, removedAt: null },
    select: { name: true },
  });
  const room = hostRoom({ podCidr: environment.podCidr, options: environment.options as EnvironmentOptions });
  if (hosts.length >= room) {
    throw new DomainError(
      'cidr_too_small',
      `The pods' block ${environment.podCidr} has room for ${room} hosts.`,
    );
  }
  const taken = new Set(hosts.map((host) => host.name));
  if (asked !== undefined && taken.has(asked)) {
    throw new DomainError('name_taken', `The name ${asked} is taken in ${environment.name}.`, {
      pointer: '/name',
    });
  }
  return asked ?? freeNames(environment.name, taken, 1)[0]!;
}

function write({ prisma }: Context, by: KeyPrincipal, environment: Environment, wish: LocalHostWish) {
  return withFreeName(wish.name, () =>
    prisma.$transaction(async (tx) => {
      const { hosts, machineIds } = await createLocalHosts(tx, environment.id, [wish]);
      const host = hosts[0]!;
      const operation = await createOperation(tx, by, 'host.create', environment.id, {
        kind: 'Host',
        id: host.id,
        name: host.name,
      });
      return { operation, machineIds };
    }),
  );
}
