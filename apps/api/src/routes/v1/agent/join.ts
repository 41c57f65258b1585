import { agentPaths, type JoinRequest, type JoinResponse } from '@rancher/contracts';
import { DomainError } from '@rancher/domain';
import { Type } from 'typebox';
import { createFailureLimit } from '../../../auth/failures.ts';
import type { App, Context } from '../../../context.ts';
import { nullable } from '../../../http/components.ts';
import { anything, closed, problems, userLabels } from '../../../http/schemas.ts';
import { wake } from '../../../intent/wake.ts';
import { joinHost } from '../../../joining/join-host.ts';

const body = closed({
  token: Type.String({ minLength: 1, maxLength: 256 }),
  credential: Type.Optional(
    Type.String({ maxLength: 256, description: 'Of a machine that is a host already: it stays that one' }),
  ),
  name: Type.String({
    minLength: 1,
    maxLength: 253,
    description: 'Host name; made a DNS label. With a token for one host, that host has its name already',
  }),
  labels: userLabels,
  facts: anything('What the agent found on it'),
});

/** Exchanges a registration token, once for each use, for a host's own credential. The token is the authentication. */
export function join(app: App, context: Context): void {
  const failures = createFailureLimit();
  app.post(
    agentPaths.join,
    {
      config: { auth: 'public' },
      schema: {
        operationId: 'joinHost',
        tags: ['hosts'],
        summary: 'Join a host with a registration token (for agents)',
        security: [],
        body,
        response: {
          201: Type.Object({
            hostId: Type.String(),
            credential: Type.String({ description: 'Shown once' }),
            name: Type.String(),
            environmentName: nullable(Type.String()),
          }),
          ...problems('token_expired', 'token_spent', 'token_revoked', 'name_taken', 'host_elsewhere'),
        },
      },
    },
    async (request, reply): Promise<JoinResponse> => {
      try {
        const { answer, environmentId } = await joinHost(context, request.body as unknown as JoinRequest);
        if (environmentId !== null) await wake(context, environmentId);
        reply.code(201);
        return answer;
      } catch (error) {
        const refused = error instanceof DomainError && error.code === 'unauthenticated';
        const seconds = refused ? failures.failed(request.ip) : 0;
        if (seconds === 0) throw error;
        reply.header('retry-after', String(seconds));
        throw new DomainError('rate_limited', `Too many unknown tokens; try again in ${seconds} s.`);
      }
    },
  );
}
