import { healths, instanceStates } from '@rancher/domain';
import { Type } from 'typebox';
import type { App, Context } from '../../../context.ts';
import { readable } from '../../../http/readable.ts';
import { getInstanceLog } from './log.ts';
import { instanceList, instanceSchema, instanceView } from './schema.ts';

export function instances(app: App, context: Context): void {
  readable(app, context, {
    plural: 'instances',
    singular: 'Instance',
    item: instanceSchema,
    list: instanceList,
    filters: {
      hostId: Type.Optional(Type.String()),
      serviceId: Type.Optional(Type.String()),
      service: Type.Optional(Type.String({ description: 'Name of the service, such as etcd' })),
      state: Type.Optional(Type.String({ enum: [...instanceStates] })),
      health: Type.Optional(Type.String({ enum: [...healths] })),
      removed: Type.Optional(
        Type.Boolean({ description: 'Also those that are gone, as long as they are kept' }),
      ),
    },
    where: ({ removed, ...rest }) => (removed === true ? rest : { ...rest, removedAt: null }),
    find: ({ prisma }, query) => prisma.instance.findMany(query),
    get: ({ prisma }, id) => prisma.instance.findUnique({ where: { id } }),
    view: instanceView,
  });
  getInstanceLog(app, context);
}
