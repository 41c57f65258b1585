import { hostKinds, hostStates } from '@rancher/domain';
import { Type } from 'typebox';
import type { App, Context } from '../../../context.ts';
import { readable } from '../../../http/readable.ts';
import { powerActions } from './actions/power.ts';
import { replaceIdentity } from './actions/replace-identity.ts';
import { cordonActions, drainActions } from './actions/scheduling.ts';
import { createHost } from './create.ts';
import { patchHost } from './patch.ts';
import { removeHost } from './remove.ts';
import { hostList, hostSchema, hostView } from './schema.ts';

export function hosts(app: App, context: Context): void {
  readable(app, context, {
    plural: 'hosts',
    singular: 'Host',
    item: hostSchema,
    list: hostList,
    filters: {
      name: Type.Optional(Type.String()),
      state: Type.Optional(Type.String({ enum: [...hostStates] })),
      kind: Type.Optional(Type.String({ enum: [...hostKinds] })),
      machineId: Type.Optional(Type.String()),
    },
    labelled: true,
    where: (query) => ({ removedAt: null, ...query }),
    find: ({ prisma }, query) => prisma.host.findMany(query),
    get: ({ prisma }, id) => prisma.host.findFirst({ where: { id, removedAt: null } }),
    view: hostView,
  });
  createHost(app, context);
  patchHost(app, context);
  removeHost(app, context);
  powerActions(app, context);
  cordonActions(app, context);
  drainActions(app, context);
  replaceIdentity(app, context);
}
