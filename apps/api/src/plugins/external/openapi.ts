import swagger from '@fastify/swagger';
import apiReference from '@scalar/fastify-api-reference';
import type { App } from '../../context.ts';

/** The OpenAPI document, made from the routes' schemas. Registered before them. */
export async function openapi(app: App): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Rancher',
        version: 'v1',
        description:
          'Environments are Kubernetes clusters. `spec` is written by users, `status` by the server alone. ' +
          'Errors are RFC 9457 problems with a stable `code`. Long work answers 202 with an Operation.',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      servers: [{ url: '/' }],
      tags,
      components: {
        securitySchemes: { bearer: { type: 'http', scheme: 'bearer', description: 'An API key: `rk_…`' } },
      },
      security: [{ bearer: [] }],
    },
    refResolver: { buildLocalReference: (json, _base, _fragment, i) => String(json.$id ?? `def-${i}`) },
  });
}

const tags = [
  { name: 'environments', description: 'Kubernetes clusters' },
  { name: 'hosts', description: 'Machines, and the local hosts made on them' },
  { name: 'registrationTokens', description: 'What a host joins with' },
  { name: 'stacks', description: 'Groups of services; the system stack is the cluster’s own machinery' },
  { name: 'services', description: 'Components of a stack' },
  { name: 'instances', description: 'Single runs of a service on a host' },
  { name: 'operations', description: 'Long work that a user asked for' },
  { name: 'plans', description: 'What the server decided, with the reasons' },
  { name: 'events', description: 'What happened, in words' },
  { name: 'versions', description: 'Kubernetes versions' },
  { name: 'apiKeys', description: 'Keys to this API' },
  { name: 'server', description: 'The server itself' },
];

/** The document at /openapi.json and a page to browse it at /docs; both are public, as they say nothing of this server. */
export async function docs(app: App): Promise<void> {
  app.get('/openapi.json', { schema: { hide: true }, config: { auth: 'public' } }, async (_request, reply) =>
    reply.type('application/json').send(JSON.stringify(app.swagger())),
  );
  await app.register(async (scope) => {
    scope.addHook('onRoute', (route) => {
      route.config = { ...route.config, auth: 'public' };
    });
    await scope.register(apiReference, {
      routePrefix: '/docs',
      configuration: { url: '/openapi.json', telemetry: false, withDefaultFonts: false },
    });
  });
}
