import { serviceHealths } from '@rancher/domain';
import { Type } from 'typebox';
import type { App, Context } from '../../../context.ts';
import { readable } from '../../../http/readable.ts';
import { patchService } from './patch.ts';
import { serviceList, serviceSchema, serviceView } from './schema.ts';

export function services(app: App, context: Context): void {
  readable(app, context, {
    plural: 'services',
    singular: 'Service',
    item: serviceSchema,
    list: serviceList,
    filters: {
      name: Type.Optional(Type.String()),
      stackId: Type.Optional(Type.String()),
      health: Type.Optional(Type.String({ enum: [...serviceHealths] })),
    },
    find: ({ prisma }, query) => prisma.service.findMany(query),
    get: ({ prisma }, id) => prisma.service.findUnique({ where: { id } }),
    view: serviceView,
  });
  patchService(app, context);
}
