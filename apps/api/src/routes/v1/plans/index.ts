import type { Plan } from '@rancher/db';
import { Type } from 'typebox';
import type { App, Context } from '../../../context.ts';
import { readable } from '../../../http/readable.ts';
import { planList, planSchema, planView } from './schema.ts';

type PlanRow = Plan & { environment: { targetPlanId: string | null } };
const include = { environment: { select: { targetPlanId: true } } } as const;

export function plans(app: App, context: Context): void {
  readable<PlanRow>(app, context, {
    plural: 'plans',
    singular: 'Plan',
    item: planSchema,
    list: planList,
    filters: { generation: Type.Optional(Type.Integer({ minimum: 1 })) },
    order: 'desc',
    find: ({ prisma }, query) => prisma.plan.findMany({ ...query, include }),
    get: ({ prisma }, id) => prisma.plan.findUnique({ where: { id }, include }),
    view: (row) => planView(row, row.environment.targetPlanId),
  });
}
