import { Type } from 'typebox';
import type { KeyRole } from '../../../../auth/principal.ts';
import type { App, Context } from '../../../../context.ts';
import { component } from '../../../../http/components.ts';
import { closed, idempotencyHeaders, idParams, problems } from '../../../../http/schemas.ts';
import { createApiKeyRow } from '../../../../intent/api-keys.ts';
import { caller } from '../../../../plugins/app/authentication.ts';
import { assertNotRemoving, findEnvironment } from '../find.ts';

const query = closed({
  role: Type.Optional(
    Type.String({ enum: ['admin', 'read-only'], description: "Default: the caller's own" }),
  ),
});
const result = component(
  'Kubeconfig',
  Type.Object({
    kind: Type.Literal('Kubeconfig'),
    apiKeyId: Type.String({ description: 'The key in it; revoke it to end its use' }),
    kubeconfig: Type.String({
      description: 'YAML, with a new API key for this environment alone. Shown once',
    }),
  }),
);

/** A kubeconfig through this server: no inbound connection to the hosts is needed, and its key can be revoked. */
export function generateKubeconfig(app: App, context: Context): void {
  app.post(
    '/v1/environments/:id/actions/generateKubeconfig',
    {
      schema: {
        operationId: 'generateKubeconfig',
        tags: ['environments'],
        summary: 'Make a kubeconfig',
        params: idParams,
        headers: idempotencyHeaders,
        querystring: query,
        response: {
          201: result,
          ...problems('not_found', 'conflict', 'idempotency_mismatch', 'unknown_field'),
        },
      },
    },
    async (request, reply) => {
      const by = caller(request);
      const environment = await findEnvironment(context.prisma, request, request.params.id);
      assertNotRemoving(environment);
      const { row, secret } = await context.prisma.$transaction((tx) =>
        createApiKeyRow(tx, {
          name: `kubeconfig-${environment.name}`,
          role: (request.query.role ?? by.role) as KeyRole,
          environmentId: environment.id,
          createdBy: by.id,
        }),
      );
      const server = `https://${context.config.advertise}/k8s/environments/${environment.id}`;
      reply.code(201);
      return {
        kind: 'Kubeconfig' as const,
        apiKeyId: row.id,
        kubeconfig: kubeconfigYaml(environment.name, server, context.tls.caPem, secret),
      };
    },
  );
}

/** JSON strings are YAML strings, so names need no other quoting. */
function kubeconfigYaml(name: string, server: string, caPem: string, token: string): string {
  const n = JSON.stringify(name);
  return [
    'apiVersion: v1',
    'kind: Config',
    'clusters:',
    `- name: ${n}`,
    '  cluster:',
    `    server: ${JSON.stringify(server)}`,
    `    certificate-authority-data: ${Buffer.from(caPem).toString('base64')}`,
    'users:',
    `- name: ${n}`,
    '  user:',
    `    token: ${token}`,
    'contexts:',
    `- name: ${n}`,
    '  context:',
    `    cluster: ${n}`,
    `    user: ${n}`,
    `current-context: ${n}`,
    '',
  ].join('\n');
}
