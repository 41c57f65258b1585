import { components } from '@rancher/components';
import { derivedId } from '@rancher/domain';
import { makePlan } from '@rancher/planner';
import { scaleOf } from '@rancher/reconcilers';
import type { Context } from '../../../context.ts';
import { freeNames } from '../../../intent/local-hosts.ts';
import { type DryRunResult, dryRunView } from '../plans/schema.ts';
import { assertNameFree } from './find.ts';
import type { EnvironmentCreate } from './schema.ts';
import type { EnvironmentSpec } from './validate.ts';

/**
 * The plan that a new environment would get once its hosts have joined: by the planner itself, on an environment that
 * is nowhere written.
 */
export async function previewCreation(
  { prisma }: Context,
  body: EnvironmentCreate,
  spec: EnvironmentSpec,
): Promise<DryRunResult> {
  await assertNameFree(prisma, body.name);
  const now = Date.now();
  const environmentId = derivedId('environment', 'dry-run', body.name);
  const plan = makePlan({
    now,
    environment: { id: environmentId, desiredState: 'active', generation: 1, bootstrapped: false },
    services: components.map((component) => ({
      id: derivedId('service', environmentId, component.name),
      name: component.name,
      placement: component.placement,
      scale: scaleOf(component.placement, spec.controlPlaneReplicas),
      after: component.after,
    })),
    hosts: freeNames(body.name, new Set(), spec.localHosts).map((name) => ({
      id: derivedId('host', environmentId, name),
      name,
      labels: {},
      state: 'active',
      desiredState: 'active',
      lastSeenMs: now,
      createdMs: now,
      factsKnown: true,
    })),
    parent: null,
    members: [],
    observed: [],
    specHash: (service, hostId) => derivedId('service', service, hostId),
  });
  return dryRunView({ ...plan, actions: plan.plan?.actions ?? [] });
}
