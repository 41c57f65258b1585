import { environmentStates, serviceHealths } from '@rancher/domain';
import { Type } from 'typebox';
import type { App, Context } from '../../../context.ts';
import { given, whereLabels } from '../../../http/list.ts';
import { page } from '../../../http/pages.ts';
import { closed, labelSelectorQuery, pageQuery, problems } from '../../../http/schemas.ts';
import { caller } from '../../../plugins/app/authentication.ts';
import { environmentList, environmentView } from './schema.ts';

export function listEnvironments(app: App, { prisma }: Context): void {
  app.get(
    '/v1/environments',
    {
      schema: {
        operationId: 'listEnvironments',
        tags: ['environments'],
        summary: 'List environments',
        querystring: closed({
          name: Type.Optional(Type.String()),
          state: Type.Optional(Type.String({ enum: [...environmentStates] })),
          health: Type.Optional(Type.String({ enum: [...serviceHealths] })),
          ...labelSelectorQuery,
          ...pageQuery,
        }),
        response: { 200: environmentList, ...problems() },
      },
    },
    async (request) => {
      const { pageSize: _size, pageToken: _token, labelSelector, ...filters } = request.query;
      const { environmentId } = caller(request);
      return page(request.query, {
        filters: { ...filters, labelSelector },
        find: ({ where, orderBy, take }) =>
          prisma.environment.findMany({
            where: {
              AND: [where, whereLabels(labelSelector)],
              removedAt: null,
              ...given(filters),
              ...(environmentId === null ? {} : { id: environmentId }),
            },
            orderBy,
            take,
          }),
        view: environmentView,
      });
    },
  );
}
