import type { ServerRequest } from '@rancher/contracts';
import { Type } from 'typebox';
import type { App, Context } from '../../context.ts';
import { closed, idParams } from '../../http/schemas.ts';

const body = Type.Union([
  closed({
    method: Type.Literal('logTail'),
    service: Type.String(),
    lines: Type.Integer({ minimum: 1, maximum: 5000 }),
  }),
]);

/** For other replicas (role `system`): asks the agent of a host that this replica holds. Not in the document. */
export function hostRelay(app: App, { hub }: Context): void {
  app.post(
    '/internal/v1/hosts/:id/ask',
    { config: { auth: 'system' }, schema: { hide: true, params: idParams, body } },
    async (request) => ({ result: await hub.ask(request.params.id, request.body as ServerRequest) }),
  );
}
