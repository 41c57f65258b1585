import swagger from '@fastify/swagger';
import fastify, { type FastifyInstance } from 'fastify';
import type { App } from '../../context.ts';

/** The OpenAPI document, made from the routes' schemas. Registered before them. */
export async function openapi(app: App): Promise<void> {
  app.addHook('onRoute', ({ schema }) => {
    if (schema?.response !== undefined)
      schema.response = described(schema.response as Record<string, object>);
  });
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

const descriptions: Record<string, string> = {
  200: 'Done',
  201: 'Made',
  202: 'Begun: the operation tells how it goes',
  204: 'Done',
};

/** Responses with a description each, which OpenAPI requires: that of the status, where a route gives none. */
function described(responses: Record<string, object>): Record<string, object> {
  return Object.fromEntries(
    Object.entries(responses).map(([status, schema]) => [
      status,
      { description: descriptions[status], ...schema },
    ]),
  );
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

/** The document at /openapi.json and a page to browse it at /docs: both public, as they say nothing of this server. */
export function docs(app: App): void {
  let document: string | undefined;
  app.get(
    '/openapi.json',
    { schema: { hide: true }, config: { auth: 'public' } },
    async (_request, reply) => {
      document ??= JSON.stringify(app.swagger());
      return reply.type('application/json').send(document);
    },
  );
  let page: Promise<FastifyInstance> | undefined;
  for (const url of ['/docs', '/docs/', '/docs/js/scalar.js']) {
    app.get(url, { schema: { hide: true }, config: { auth: 'public' } }, async (_request, reply) => {
      page ??= openPage();
      const answer = await (await page).inject({ url: url === '/docs' ? '/docs/' : url });
      return reply
        .code(answer.statusCode)
        .type(String(answer.headers['content-type']))
        .send(answer.rawPayload);
    });
  }
}

/** Scalar's page carries 5 MB of script, so it is loaded when someone asks for it, into an app of its own. */
async function openPage(): Promise<FastifyInstance> {
  const { default: apiReference } = await import('@scalar/fastify-api-reference');
  const page = fastify();
  await page.register(apiReference, {
    routePrefix: '/docs',
    configuration: { url: '/openapi.json', telemetry: false, withDefaultFonts: false },
  });
  return page;
}
