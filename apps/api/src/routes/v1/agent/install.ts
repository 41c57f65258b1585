import { agentPaths } from '@rancher/contracts';
import { Type } from 'typebox';
import type { App, Context } from '../../../context.ts';
import { problems } from '../../../http/schemas.ts';
import { installScript } from '../../../joining/install-script.ts';

/** The script of the command that registration tokens come with. Public: it has no secret, and does nothing without one. */
export function install(app: App, context: Context): void {
  app.get(
    agentPaths.install,
    {
      config: { auth: 'public' },
      schema: {
        operationId: 'getInstallScript',
        tags: ['hosts'],
        summary: 'Read the script that makes a Linux machine a host',
        security: [],
        response: {
          200: {
            description: 'A script for /bin/sh',
            content: { 'text/x-shellscript': { schema: Type.Unsafe<string>({ type: 'string' }) } },
          },
          ...problems('artifact_unavailable'),
        },
      },
    },
    async (_request, reply) =>
      reply
        .header('cache-control', 'no-cache')
        .type('text/x-shellscript; charset=utf-8')
        .send(await installScript(context)),
  );
}
