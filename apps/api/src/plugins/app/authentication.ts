import { DomainError } from '@rancher/domain';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { createFailureLimit } from '../../auth/failures.ts';
import type { KeyPrincipal, Principal } from '../../auth/principal.ts';
import type { App, Context } from '../../context.ts';

declare module 'fastify' {
  interface FastifyRequest {
    principal: Principal | null;
  }
  interface FastifyContextConfig {
    /**
     * Who may call: an API key (default), a host by its credential, that or a machine with a registration token, the
     * role `system` alone, or everybody.
     */
    auth?: 'key' | 'host' | 'joining' | 'system' | 'public';
    /** The route decides itself what a caller may change (the Kubernetes proxy leaves it to RBAC). */
    ownAuthorization?: boolean;
  }
}

const reading = new Set(['GET', 'HEAD', 'OPTIONS']);

/** Routes that anyone may call. A test holds the real routes against it. */
export const publicRoutes = [
  '/livez',
  '/readyz',
  '/openapi.json',
  '/docs',
  '/v1/agent/join',
  '/v1/agent/install.sh',
];

/**
 * Authenticates every request, unknown paths too, before its body is read. Read-only keys change nothing; a host's
 * credential opens only the routes made for hosts.
 */
export function authentication(app: App, context: Context): void {
  const failures = createFailureLimit();
  app.decorateRequest('principal', null);

  app.addHook('onRequest', async (request, reply) => {
    const { auth = 'key', ownAuthorization = false } = request.routeOptions.config;
    if (auth === 'public') return;
    try {
      const { authorization } = request.headers;
      if (auth === 'host') request.principal = await context.auth.host(authorization);
      else if (auth === 'joining') request.principal = await context.auth.joining(authorization);
      else request.principal = await context.auth.key(authorization);
    } catch (error) {
      throw limited(error, request, reply, failures);
    }
    if (request.principal.kind !== 'key') return;
    const { role } = request.principal;
    if (auth === 'system' && role !== 'system') throw new DomainError('not_found', 'There is nothing here.');
    if (role !== 'admin' && auth === 'key' && !ownAuthorization && !reading.has(request.method)) {
      throw new DomainError('forbidden', `A key of role ${role} can read, and change nothing.`);
    }
  });
}

function limited(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  failures: ReturnType<typeof createFailureLimit>,
): unknown {
  if (!(error instanceof DomainError) || error.code !== 'unauthenticated') return error;
  reply.header('www-authenticate', 'Bearer realm="rancher"');
  const seconds = failures.failed(request.ip);
  if (seconds === 0) return error;
  reply.header('retry-after', String(seconds));
  return new DomainError('rate_limited', `Too many failed authentications; try again in ${seconds} s.`);
}

/** The API key behind a request to a route of API keys. */
export function caller(request: FastifyRequest): KeyPrincipal {
  if (request.principal?.kind !== 'key') throw new DomainError('unauthenticated', 'An API key is needed.');
  return request.principal;
}
