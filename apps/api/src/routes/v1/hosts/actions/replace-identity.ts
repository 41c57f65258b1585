import { channels } from '@rancher/contracts';
import type { Prisma } from '@rancher/db';
import { notify, recordEvents } from '@rancher/db';
import { type Condition, DomainError, setCondition } from '@rancher/domain';
import type { App, Context } from '../../../../context.ts';
import { idParams, problems } from '../../../../http/schemas.ts';
import { createRegistrationToken } from '../../../../intent/registration-tokens.ts';
import { joinCommand } from '../../../../joining/command.ts';
import { tokenCreated, tokenView } from '../../registration-tokens/schema.ts';
import { findHost } from '../find.ts';

const tokenSeconds = 3600;

/** The host's credential dies at once; a token that is for this host alone lets a machine be it from then on. */
export function replaceIdentity(app: App, context: Context): void {
  app.post(
    '/v1/hosts/:id/actions/replaceIdentity',
    {
      schema: {
        operationId: 'replaceHostIdentity',
        tags: ['hosts'],
        summary:
          'Replace the identity of a machine: its credential ends, and a command makes a machine this host',
        description:
          'For a credential that leaked, a disk that was cloned, or hardware that was replaced. The command is to be run ' +
          'on the machine that is to be this host from now on.',
        params: idParams,
        response: { 201: tokenCreated, ...problems('not_found', 'conflict') },
      },
    },
    async (request, reply) => {
      const host = await findHost(context.prisma, request, request.params.id);
      const { environmentId } = host;
      if (host.kind !== 'machine' || environmentId === null) {
        throw new DomainError(
          'conflict',
          `${host.name} gets its identity on its own machine: that of machines which joined an environment is replaced.`,
        );
      }
      if (host.desiredState === 'removed') {
        throw new DomainError('conflict', `${host.name} is being removed.`);
      }
      const { row, token } = await context.prisma.$transaction(async (tx) => {
        await tx.registrationToken.updateMany({
          where: { hostId: host.id, revokedAt: null, uses: 0 },
          data: { revokedAt: new Date() },
        });
        const unique = {
          type: 'IdentityUnique',
          status: 'Unknown',
          reason: 'IdentityReplaced',
          message: 'Its identity was replaced: a machine is to join with the new token',
        } as const;
        const conditions = setCondition(host.conditions as unknown as Condition[], unique, new Date());
        await tx.host.update({
          where: { id: host.id },
          data: {
            credentialHash: null,
            ...(host.credentialHash === null ? {} : { replacedHash: host.credentialHash }),
            fingerprint: null,
            conditions: conditions as unknown as Prisma.InputJsonArray,
            resourceVersion: { increment: 1 },
          },
        });
        await recordEvents(tx, [
          {
            environmentId,
            hostId: host.id,
            regarding: { kind: 'Host', id: host.id, name: host.name },
            type: 'Normal',
            reason: 'HostIdentityReplaced',
            message: `The identity of ${host.name} was replaced: its credential has ended`,
          },
        ]);
        return createRegistrationToken(tx, {
          environmentId,
          hostId: host.id,
          description: `identity of ${host.name}`,
          maxUses: 1,
          expiresInSeconds: tokenSeconds,
        });
      });
      // Whichever replica holds its socket hangs up.
      await notify(context.prisma, channels.identity, host.id);
      reply.code(201).header('location', `/v1/registrationTokens/${row.id}`);
      return { ...tokenView(row), token, ...joinCommand(context, token, { labels: {} }) };
    },
  );
}
