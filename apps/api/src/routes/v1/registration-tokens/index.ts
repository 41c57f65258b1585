import { recordEvents } from '@rancher/db';
import { notFound } from '../../../auth/principal.ts';
import type { App, Context } from '../../../context.ts';
import { readable } from '../../../http/readable.ts';
import { idempotencyHeaders, idParams, problems } from '../../../http/schemas.ts';
import { createRegistrationToken } from '../../../intent/registration-tokens.ts';
import { caller } from '../../../plugins/app/authentication.ts';
import { assertNotRemoving, findEnvironment } from '../environments/find.ts';
import { tokenCreate, tokenCreated, tokenList, tokenSchema, tokenView } from './schema.ts';

export function registrationTokens(app: App, context: Context): void {
  readable(app, context, {
    plural: 'registrationTokens',
    singular: 'RegistrationToken',
    item: tokenSchema,
    list: tokenList,
    filters: {},
    order: 'desc',
    find: ({ prisma }, query) => prisma.registrationToken.findMany(query),
    get: ({ prisma }, id) => prisma.registrationToken.findUnique({ where: { id } }),
    view: tokenView,
  });
  create(app, context);
  revoke(app, context);
}

function create(app: App, context: Context): void {
  app.post(
    '/v1/registrationTokens',
    {
      schema: {
        operationId: 'createRegistrationToken',
        tags: ['registrationTokens'],
        summary: 'Make a token that hosts join with',
        headers: idempotencyHeaders,
        body: tokenCreate,
        response: {
          201: tokenCreated,
          ...problems('unknown_field', 'invalid_value', 'not_found', 'conflict', 'idempotency_mismatch'),
        },
      },
    },
    async (request, reply) => {
      const by = caller(request);
      const environmentId = request.body.environmentId ?? by.environmentId;
      if (environmentId !== null)
        assertNotRemoving(await findEnvironment(context.prisma, request, environmentId));
      const { row, token } = await context.prisma.$transaction((tx) =>
        createRegistrationToken(tx, {
          environmentId,
          description: request.body.description ?? '',
          maxUses: request.body.maxUses ?? 1,
          expiresInSeconds: request.body.expiresInSeconds ?? 3600,
        }),
      );
      reply.code(201).header('location', `/v1/registrationTokens/${row.id}`);
      return { ...tokenView(row), token, command: joinCommand(context, token) };
    },
  );
}

/** Carries the hash of the server's authority, so that the agent trusts this server and no other. */
function joinCommand({ config, tls }: Context, token: string): string {
  return `rancher agent --server https://${config.advertise} --ca-sha256 ${tls.caSha256} --token ${token}`;
}

function revoke(app: App, context: Context): void {
  app.delete(
    '/v1/registrationTokens/:id',
    {
      schema: {
        operationId: 'deleteRegistrationToken',
        tags: ['registrationTokens'],
        summary: 'Revoke a token; hosts that joined with it stay',
        params: idParams,
        response: { 204: { type: 'null', description: 'Revoked' }, ...problems('not_found') },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      const { environmentId } = caller(request);
      const row = await context.prisma.registrationToken.findUnique({ where: { id } });
      if (row === null || (environmentId !== null && row.environmentId !== environmentId)) {
        throw notFound('registration token', id);
      }
      if (row.revokedAt === null) {
        await context.prisma.$transaction(async (tx) => {
          await tx.registrationToken.update({ where: { id }, data: { revokedAt: new Date() } });
          await recordEvents(tx, [
            {
              environmentId: row.environmentId,
              regarding: { kind: 'RegistrationToken', id },
              type: 'Normal',
              reason: 'RegistrationTokenRevoked',
              message: 'A registration token was revoked',
            },
          ]);
        });
      }
      reply.code(204);
      return null;
    },
  );
}
