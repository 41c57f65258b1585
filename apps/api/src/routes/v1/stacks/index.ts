import { serviceHealths } from '@rancher/domain';
import { Type } from 'typebox';
import type { App, Context } from '../../../context.ts';
import { readable } from '../../../http/readable.ts';
import { stackList, stackSchema, stackView } from './schema.ts';

export function stacks(app: App, context: Context): void {
  readable(app, context, {
    plural: 'stacks',
    singular: 'Stack',
    item: stackSchema,
    list: stackList,
    filters: {
      name: Type.Optional(Type.String()),
      kind: Type.Optional(Type.String({ enum: ['system', 'user'] })),
      health: Type.Optional(Type.String({ enum: [...serviceHealths] })),
    },
    find: ({ prisma }, query) => prisma.stack.findMany(query),
    get: ({ prisma }, id) => prisma.stack.findUnique({ where: { id } }),
    view: stackView,
  });
}
