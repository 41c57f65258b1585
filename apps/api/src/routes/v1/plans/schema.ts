import type { Plan } from '@rancher/db';
import type { EtcdMemberStep, PlanAction, PlannedInstance, PlanWait } from '@rancher/domain';
import { type Static, Type } from 'typebox';
import { component, nullable } from '../../../http/components.ts';
import { listOf, timestamp } from '../../../http/schemas.ts';

const plannedInstance = Type.Object({
  id: Type.String(),
  serviceId: Type.String(),
  service: Type.String(),
  hostId: Type.String(),
  specHash: Type.String(),
  after: Type.Array(Type.String(), { description: 'Instances that must be healthy before it starts' }),
  notBefore: Type.Number({ description: 'Earliest start, ms since the epoch; 0 = at once' }),
});
const planAction = component(
  'PlanAction',
  Type.Object({
    kind: Type.String({ enum: ['create', 'replace', 'reload', 'remove'] }),
    service: Type.String(),
    hostId: Type.String(),
    instanceId: Type.String(),
    replaces: Type.Optional(Type.String()),
    graceMs: Type.Optional(Type.Number()),
    reason: Type.String({ description: 'Why, in words' }),
  }),
);

export const planSchema = component(
  'Plan',
  Type.Object({
    id: Type.String(),
    kind: Type.Literal('Plan'),
    environmentId: Type.String(),
    generation: Type.Integer(),
    parentId: nullable(Type.String()),
    createdAt: timestamp(),
    spec: Type.Object({
      instances: Type.Array(component('PlannedInstance', plannedInstance)),
      actions: Type.Array(planAction),
    }),
    status: Type.Object({
      target: Type.Boolean({ description: 'Whether it is what the hosts carry out now' }),
    }),
  }),
);
export const planList = listOf('PlanList', planSchema);

export function planView(row: Plan, targetPlanId: string | null): Static<typeof planSchema> {
  return {
    id: row.id,
    kind: 'Plan',
    environmentId: row.environmentId,
    generation: row.generation,
    parentId: row.parentId,
    createdAt: row.createdAt.toISOString(),
    spec: {
      instances: row.instances as unknown as PlannedInstance[],
      actions: row.actions as unknown as PlanAction[],
    },
    status: { target: row.id === targetPlanId },
  };
}

/** What a change would lead to, with `?dryRun=true`. */
export const dryRunResult = component(
  'DryRunResult',
  Type.Object({
    kind: Type.Literal('DryRunResult'),
    actions: Type.Array(planAction),
    memberSteps: Type.Array(
      Type.Object({
        kind: Type.String({ enum: ['found', 'add', 'promote', 'remove'] }),
        hostId: Type.String(),
        reason: Type.String({ description: 'Why, in words' }),
      }),
      { description: 'The next step of etcd’s membership; the others follow one at a time' },
    ),
    waits: Type.Array(
      Type.Object(
        { reason: Type.String(), message: Type.String() },
        { description: 'What the plan would wait for' },
      ),
    ),
  }),
);
export type DryRunResult = Static<typeof dryRunResult>;

export function dryRunView(plan: {
  actions: PlanAction[];
  memberSteps: EtcdMemberStep[];
  waits: PlanWait[];
}): DryRunResult {
  return {
    kind: 'DryRunResult',
    actions: plan.actions,
    memberSteps: plan.memberSteps.map(({ kind, hostId, reason }) => ({ kind, hostId, reason })),
    waits: plan.waits.map(({ condition }) => ({ reason: condition.reason, message: condition.message })),
  };
}
