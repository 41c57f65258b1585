import { DomainError } from '@rancher/domain';
import type { App } from '../../context.ts';
import { toProblem } from '../../http/problem.ts';

/** Every error as problem+json. What is unexpected is logged whole and answered without a word of it. */
export function errors(app: App): void {
  app.setErrorHandler((error, request, reply) => {
    const problem = toProblem(error, request.id);
    if (problem.status >= 500 && problem.code === 'internal')
      request.log.error({ err: error }, 'request failed');
    else if (problem.status >= 500) request.log.warn({ err: error }, 'request not served');
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
