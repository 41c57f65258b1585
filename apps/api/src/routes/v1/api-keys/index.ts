import { recordEvents } from '@rancher/db';
import { DomainError } from '@rancher/domain';
import { Type } from 'typebox';
import { type KeyRole, keyRoles, notFound } from '../../../auth/principal.ts';
import type { App, Context } from '../../../context.ts';
import { readable } from '../../../http/readable.ts';
import { idempotencyHeaders, idParams, problems } from '../../../http/schemas.ts';
import { createApiKeyRow } from '../../../intent/api-keys.ts';
import { caller } from '../../../plugins/app/authentication.ts';
import { findEnvironment } from '../environments/find.ts';
import { apiKeyCreate, apiKeyCreated, apiKeyList, apiKeySchema, apiKeyView } from './schema.ts';

export function apiKeys(app: App, context: Context): void {
  readable(app, context, {
    plural: 'apiKeys',
    singular: 'ApiKey',
    item: apiKeySchema,
    list: apiKeyList,
    filters: {
      name: Type.Optional(Type.String()),
      role: Type.Optional(Type.String({ enum: [...keyRoles] })),
    },
    find: ({ prisma }, query) => prisma.apiKey.findMany(query),
    get: ({ prisma }, id) => prisma.apiKey.findUnique({ where: { id } }),
    view: apiKeyView,
  });
  create(app, context);
  revoke(app, context);
}

function create(app: App, context: Context): void {
  app.post(
    '/v1/apiKeys',
    {
      schema: {
        operationId: 'createApiKey',
        tags: ['apiKeys'],
        summary: 'Make an API key',
        description: 'A key that is bound to an environment can make keys of that environment alone.',
        headers: idempotencyHeaders,
        body: apiKeyCreate,
        response: {
          201: apiKeyCreated,
          ...problems('unknown_field', 'invalid_value', 'not_found', 'idempotency_mismatch'),
        },
      },
    },
    async (request, reply) => {
      const by = caller(request);
      const { name, role } = request.body;
      const environmentId = request.body.environmentId ?? by.environmentId;
      if (environmentId !== null) await findEnvironment(context.prisma, request, environmentId);
      const expiresAt = request.body.expiresAt == null ? null : new Date(request.body.expiresAt);
      if (expiresAt !== null && expiresAt.getTime() <= Date.now()) {
        throw new DomainError('invalid_value', 'expiresAt lies in the past.', { pointer: '/expiresAt' });
      }
      const { row, secret } = await context.prisma.$transaction((tx) =>
        createApiKeyRow(tx, { name, role: role as KeyRole, environmentId, expiresAt, createdBy: by.id }),
      );
      reply.code(201).header('location', `/v1/apiKeys/${row.id}`);
      return { ...apiKeyView(row), key: secret };
    },
  );
}

function revoke(app: App, context: Context): void {
  app.delete(
    '/v1/apiKeys/:id',
    {
      schema: {
        operationId: 'deleteApiKey',
        tags: ['apiKeys'],
        summary: 'Revoke an API key, on every replica within seconds',
        params: idParams,
        response: { 204: { type: 'null', description: 'Revoked' }, ...problems('not_found') },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      const { environmentId } = caller(request);
      const row = await context.prisma.apiKey.findUnique({ where: { id } });
      if (row === null || (environmentId !== null && row.environmentId !== environmentId))
        throw notFound('API key', id);
      if (row.revokedAt === null) {
        await context.prisma.$transaction(async (tx) => {
          await tx.apiKey.update({ where: { id }, data: { revokedAt: new Date() } });
          await recordEvents(tx, [
            {
              environmentId: row.environmentId,
              regarding: { kind: 'ApiKey', id, name: row.name },
              type: 'Normal',
              reason: 'ApiKeyRevoked',
              message: `API key ${row.name} (${row.prefix}) was revoked`,
            },
          ]);
        });
      }
      context.auth.forget(id);
      reply.code(204);
      return null;
    },
  );
}
