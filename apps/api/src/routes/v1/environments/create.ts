import { recordEvents } from '@rancher/db';
import { newId } from '@rancher/domain';
import { ensureSystemStack } from '@rancher/reconcilers';
import { type KeyPrincipal, requireUnscoped } from '../../../auth/principal.ts';
import type { App, Context } from '../../../context.ts';
import { closed, dryRunQuery, idempotencyHeaders, problems } from '../../../http/schemas.ts';
import { createLocalHosts, freeNames } from '../../../intent/local-hosts.ts';
import { accepted, createOperation } from '../../../intent/operations.ts';
import { withFreeName } from '../../../intent/unique.ts';
import { wake } from '../../../intent/wake.ts';
import { caller } from '../../../plugins/app/authentication.ts';
import { type OperationView, operationSchema, operationView } from '../operations/schema.ts';
import { type DryRunResult, dryRunResult } from '../plans/schema.ts';
import { previewCreation } from './preview.ts';
import { type EnvironmentCreate, environmentCreate } from './schema.ts';
import { completeSpec, type EnvironmentSpec } from './validate.ts';

export function createEnvironment(app: App, context: Context): void {
  app.post(
    '/v1/environments',
    {
      schema: {
        operationId: 'createEnvironment',
        tags: ['environments'],
        summary: 'Make a Kubernetes cluster',
        headers: idempotencyHeaders,
        querystring: closed(dryRunQuery),
        body: environmentCreate,
        response: {
          200: dryRunResult,
          202: operationSchema,
          ...problems(
            'unknown_field',
            'invalid_value',
            'unknown_version',
            'cidr_overlap',
            'cidr_too_small',
            'name_taken',
            'idempotency_mismatch',
            'host_unreachable',
          ),
        },
      },
    },
    async (request, reply): Promise<OperationView | DryRunResult> => {
      const by = caller(request);
      requireUnscoped(by, 'make environments');
      const spec = completeSpec(request.body.spec);
      if (request.query.dryRun === true) return previewCreation(context, request.body, spec);
      const { operation, environmentId, machineIds } = await write(context, by, request.body, spec);
      await wake(context, environmentId, machineIds);
      accepted(reply, operation);
      return operationView(operation);
    },
  );
}

/** All of it in one transaction: an environment is there with its stack and hosts, or not at all. */
function write({ prisma }: Context, by: KeyPrincipal, body: EnvironmentCreate, spec: EnvironmentSpec) {
  const environmentId = newId('environment');
  const { kubernetesVersion, podCidr, serviceCidr, controlPlaneReplicas, options } = spec;
  return withFreeName(body.name, () =>
    prisma.$transaction(async (tx) => {
      await tx.environment.create({
        data: {
          id: environmentId,
          name: body.name,
          description: body.description ?? '',
          labels: body.labels ?? {},
          kubernetesVersion,
          podCidr,
          serviceCidr,
          controlPlaneReplicas,
          options,
        },
      });
      await ensureSystemStack(tx, { environmentId, kubernetesVersion, controlPlaneReplicas });
      const wishes = freeNames(body.name, new Set(), spec.localHosts).map((name, i) => ({
        name,
        labels: {},
        network: spec.networks[i % spec.networks.length]!,
      }));
      const { machineIds } = await createLocalHosts(tx, environmentId, wishes);
      const target = { kind: 'Environment', id: environmentId, name: body.name } as const;
      const operation = await createOperation(tx, by, 'environment.create', environmentId, target);
      await recordEvents(tx, [
        {
          environmentId,
          regarding: target,
          type: 'Normal',
          reason: 'EnvironmentCreated',
          message: `Environment ${body.name} was created with Kubernetes ${kubernetesVersion} and ${spec.localHosts} local host(s)`,
        },
      ]);
      return { operation, environmentId, machineIds };
    }),
  );
}
