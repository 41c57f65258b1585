import { DomainError } from '@rancher/domain';
import type { FastifyRequest } from 'fastify';
import type { App } from '../../context.ts';
import { toProblem } from '../../http/problem.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Code of the problem that it was answered with, for the log. */
    problemCode: string | null;
  }
}

/** That something is not there yet is no news to an operator; why something did not answer is. */
export function logUnserved(request: FastifyRequest, error: unknown): void {
  const cause = error instanceof DomainError ? error.cause : error;
  if (cause !== undefined) request.log.warn({ err: cause }, 'request not served');
}

/** Every error as problem+json. What is unexpected is logged whole and answered without a word of it. */
export function errors(app: App): void {
  app.decorateRequest('problemCode', null);
  app.setErrorHandler((error, request, reply) => {
    const problem = toProblem(error, request.id);
    if (problem.status >= 500 && problem.code === 'internal')
      request.log.error({ err: error }, 'request failed');
    else if (problem.status >= 500) logUnserved(request, error);
    request.problemCode = problem.code;
    if (problem.status === 503 && !reply.hasHeader('retry-after')) reply.header('retry-after', '2');
    return reply
      .code(problem.status)
      .header('content-type', 'application/problem+json')
      .serializer(JSON.stringify as (payload: unknown) => string)
      .send(problem);
  });
  app.setNotFoundHandler((request) => {
    throw new DomainError('not_found', `There is no ${request.method} ${request.url.split('?')[0]}.`);
  });
}
