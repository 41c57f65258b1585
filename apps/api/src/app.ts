import { randomBytes } from 'node:crypto';
import { AjvCompiler } from '@fastify/ajv-compiler';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { DomainError } from '@rancher/domain';
import fastify, { type FastifyBaseLogger, LogController } from 'fastify';
import type { App, Context } from './context.ts';
import { componentSchemas } from './http/components.ts';
import { buildSerializer } from './http/serializers.ts';
import { authentication } from './plugins/app/authentication.ts';
import { errors } from './plugins/app/errors.ts';
import { idempotency } from './plugins/app/idempotency.ts';
import { requests } from './plugins/app/requests.ts';
import { helmetPlugin } from './plugins/external/helmet.ts';
import { docs, openapi } from './plugins/external/openapi.ts';
import { routes } from './routes/index.ts';

/** The application, ready to be injected requests, listening nowhere: server.ts gives it its sockets. */
export async function createApp(context: Context): Promise<App> {
  const app = fastify({
    loggerInstance: context.logger as FastifyBaseLogger,
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: () => `req_${randomBytes(8).toString('hex')}`,
    bodyLimit: 1024 * 1024,
    routerOptions: { maxParamLength: 256 },
    schemaController: { compilersFactory: { buildValidator, buildSerializer } },
  }).withTypeProvider<TypeBoxTypeProvider>() as unknown as App;

  for (const schema of componentSchemas()) app.addSchema(schema);
  errors(app);
  requests(app, context);
  authentication(app, context);
  idempotency(app, context);
  acceptJson(app);
  refuseUnexpectedBodies(app);
  await helmetPlugin(app);
  await openapi(app);
  await app.register(async (scope) => routes(scope as unknown as App, context));
  docs(app);
  await app.ready();
  return app;
}

const compile = AjvCompiler();

/**
 * Bodies are JSON and taken as they are written: `"2"` is not 2, and what is not listed is refused. Queries, paths and
 * headers are text, so there types are read out of it.
 */
function buildValidator(
  externalSchemas: Parameters<typeof compile>[0],
  options: { customOptions?: object } | undefined,
) {
  const common = {
    removeAdditional: false,
    useDefaults: true,
    allErrors: false,
    allowUnionTypes: true,
  } as const;
  const strict = compile(externalSchemas, { ...options, customOptions: { ...common, coerceTypes: false } });
  const coercing = compile(externalSchemas, {
    ...options,
    customOptions: { ...common, coerceTypes: 'array' },
  });
  return (route: RouteDefinition) => (route.httpPart === 'body' ? strict(route) : coercing(route));
}

type RouteDefinition = Parameters<ReturnType<typeof compile>>[0] & { httpPart?: string };

/** JSON, and RFC 7396 beside it. An empty body is none, whatever its type says. */
function acceptJson(app: App): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  app.removeContentTypeParser('application/json');
  app.addContentTypeParser<string>(
    ['application/json', 'application/merge-patch+json'],
    { parseAs: 'string' },
    (request, body, done) => (body === '' ? done(null, undefined) : parse(request, body, done)),
  );
}

/** A route that takes no body refuses one with fields in it, as others refuse fields that they do not know. */
function refuseUnexpectedBodies(app: App): void {
  app.addHook('preValidation', async (request) => {
    const { schema, config } = request.routeOptions;
    if (schema === undefined || schema.body !== undefined || config.ownAuthorization === true) return;
    const field = Object.keys((request.body as object | null | undefined) ?? {})[0];
    if (field === undefined) return;
    throw new DomainError('unknown_field', 'Nothing is expected in the body here.', { pointer: `/${field}` });
  });
}
