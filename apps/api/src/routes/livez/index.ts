import { Type } from 'typebox';
import type { App } from '../../context.ts';

/** Alive: the process answers. Says nothing of what it depends on, so that nobody restarts it for those. */
export function livez(app: App): void {
  app.get(
    '/livez',
    {
      config: { auth: 'public' },
      schema: {
        operationId: 'getLivez',
        tags: ['server'],
        summary: 'Whether the server runs',
        security: [],
        response: { 200: Type.Object({ status: Type.String() }, { description: 'It runs' }) },
      },
    },
    async () => ({ status: 'ok' }),
  );
}
