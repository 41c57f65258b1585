import { recordEvents } from '@rancher/db';
import type { FastifyReply } from 'fastify';
import { notFound } from '../../../auth/principal.ts';
import type { App, Context } from '../../../context.ts';
import { readable } from '../../../http/readable.ts';
import { idempotencyHeaders, idParams, problems } from '../../../http/schemas.ts';
import { createRegistrationToken } from '../../../intent/registration-tokens.ts';
import { joinCommand } from '../../../joining/command.ts';
import { caller } from '../../../plugins/app/authentication.ts';
import { assertNotRemoving, findEnvironment } from '../environments/find.ts';
import {
  type TokenWish,
  tokenCreate,
  tokenCreated,
  tokenList,
  tokenOfEnvironmentCreate,
  tokenSchema,
  tokenView,
} from './schema.ts';

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
  const common = { tags: ['registrationTokens'], headers: idempotencyHeaders };
  const response = {
    201: tokenCreated,
    ...problems('unknown_field', 'invalid_value', 'not_found', 'conflict', 'idempotency_mismatch'),
  };
  app.post(
    '/v1/environments/:id/registrationTokens',
    {
      schema: {
        ...common,
        operationId: 'createEnvironmentRegistrationToken',
        summary: 'Make a token that hosts join an environment with, and the command to run on each',
        params: idParams,
        body: tokenOfEnvironmentCreate,
        response,
      },
    },
    async (request, reply) => {
      assertNotRemoving(await findEnvironment(context.prisma, request, request.params.id));
      return make(context, reply, request.params.id, request.body);
    },
  );
  app.post(
    '/v1/registrationTokens',
    {
      schema: {
        ...common,
        operationId: 'createRegistrationToken',
        summary: 'Make a token that hosts join with',
        body: tokenCreate,
        response,
      },
    },
    async (request, reply) => {
      const environmentId = request.body.environmentId ?? caller(request).environmentId;
      if (environmentId !== null)
        assertNotRemoving(await findEnvironment(context.prisma, request, environmentId));
      return make(context, reply, environmentId, request.body);
    },
  );
}

async function make(context: Context, reply: FastifyReply, environmentId: string | null, wish: TokenWish) {
  const { row, token } = await context.prisma.$transaction((tx) =>
    createRegistrationToken(tx, {
      environmentId,
      description: wish.description ?? '',
      maxUses: wish.maxUses ?? 1,
      expiresInSeconds: wish.expiresInSeconds ?? 3600,
    }),
  );
  reply.code(201).header('location', `/v1/registrationTokens/${row.id}`);
  const { labels = {}, name, address } = wish;
  const commands =
    environmentId === null
      ? { command: null, containerCommand: null }
      : joinCommand(context, token, { labels, name, address });
  return { ...tokenView(row), token, ...commands };
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
