import type { App, Context } from '../../../context.ts';
import { withEtag } from '../../../http/etag.ts';
import { idParams, problems } from '../../../http/schemas.ts';
import { findEnvironment } from './find.ts';
import { environmentSchema, environmentView } from './schema.ts';

export function getEnvironment(app: App, { prisma }: Context): void {
  app.get(
    '/v1/environments/:id',
    {
      schema: {
        operationId: 'getEnvironment',
        tags: ['environments'],
        summary: 'Read an environment',
        params: idParams,
        response: { 200: environmentSchema, ...problems('not_found') },
      },
    },
    async (request, reply) => {
      const row = await findEnvironment(prisma, request, request.params.id);
      return withEtag(request, reply, row, environmentView(row));
    },
  );
}
