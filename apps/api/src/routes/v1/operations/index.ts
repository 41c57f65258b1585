import { operationStates } from '@rancher/domain';
import { Type } from 'typebox';
import type { App, Context } from '../../../context.ts';
import { readable } from '../../../http/readable.ts';
import { cancelOperation } from './cancel.ts';
import { operationList, operationSchema, operationView } from './schema.ts';

export function operations(app: App, context: Context): void {
  readable(app, context, {
    plural: 'operations',
    singular: 'Operation',
    item: operationSchema,
    list: operationList,
    filters: {
      state: Type.Optional(Type.String({ enum: [...operationStates] })),
      type: Type.Optional(Type.String({ description: 'Such as environment.create' })),
    },
    where: ({ type, ...rest }) => ({ ...rest, ...(type === undefined ? {} : { kind: type }) }),
    order: 'desc',
    find: ({ prisma }, query) => prisma.operation.findMany(query),
    get: ({ prisma }, id) => prisma.operation.findUnique({ where: { id } }),
    view: operationView,
  });
  cancelOperation(app, context);
}
