import type { App, Context } from '../../context.ts';
import { toProblem } from '../../http/problem.ts';
import { caller } from '../../plugins/app/authentication.ts';
import { logUnserved } from '../../plugins/app/errors.ts';

/** Kubernetes' names for what went wrong (`metav1.StatusReason`). */
const reasons: Record<number, string> = {
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  429: 'TooManyRequests',
  503: 'ServiceUnavailable',
};

/**
 * `/k8s/environments/:id/…`: the Kubernetes API of an environment, for kubectl and every other client of it. Bodies are
 * not read here. Our own errors are said in Kubernetes' words, which its clients show.
 */
export async function k8s(parent: App, context: Context): Promise<void> {
  await parent.register(async (plugin) => {
    const app = plugin as unknown as App;
    app.removeAllContentTypeParsers();
    app.addContentTypeParser('*', (_request, _payload, done) => done(null));
    app.setErrorHandler((error, request, reply) => {
      const problem = toProblem(error, request.id);
      if (problem.status >= 500) logUnserved(request, error);
      request.problemCode = problem.code;
      return reply
        .code(problem.status)
        .type('application/json')
        .send({
          kind: 'Status',
          apiVersion: 'v1',
          metadata: {},
          status: 'Failure',
          message: `${problem.detail} (${problem.code}, ${problem.requestId})`,
          reason: reasons[problem.status] ?? 'InternalError',
          code: problem.status,
        });
    });
    for (const url of ['/k8s/environments/:id', '/k8s/environments/:id/*']) {
      app.route({
        method: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'],
        url,
        config: { ownAuthorization: true },
        schema: { hide: true },
        exposeHeadRoute: false,
        handler: async (request, reply) => {
          const principal = caller(request);
          await context.kubeProxy.forward(request.raw, reply.raw, principal, () => reply.hijack());
          return reply;
        },
      });
    }
  });
}
