import { DomainError } from '@rancher/domain';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type Static, Type } from 'typebox';
import { visibleTo } from '../../../auth/principal.ts';
import type { App, Context } from '../../../context.ts';
import { given } from '../../../http/list.ts';
import { closed, idParams, pageQuery, problems } from '../../../http/schemas.ts';
import { openEventStream } from '../../../http/sse.ts';
import { caller } from '../../../plugins/app/authentication.ts';
import { findEnvironment } from '../environments/find.ts';
import { eventList, eventView } from './schema.ts';

const filters = {
  hostId: Type.Optional(Type.String()),
  type: Type.Optional(Type.String({ enum: ['Normal', 'Warning'] })),
  reason: Type.Optional(Type.String()),
  regardingId: Type.Optional(Type.String({ description: 'Id of what they are about' })),
  order: Type.Optional(
    Type.String({ enum: ['newest', 'oldest'], default: 'newest', description: 'Which come first' }),
  ),
  watch: Type.Optional(
    Type.Boolean({
      description: 'Follow them as server-sent events, from `Last-Event-ID` on when it is sent',
    }),
  ),
  ...pageQuery,
};
const queryOfAll = closed({ environmentId: Type.Optional(Type.String()), ...filters });
const queryOfOne = closed(filters);
const headers = Type.Object({
  'last-event-id': Type.Optional(
    Type.String({
      pattern: '^[0-9]{1,18}$',
      description: 'Id of the last event seen; 0 = from the first that is kept',
    }),
  ),
});
const response = {
  200: {
    description: 'A page; or with `watch=true` a stream',
    content: {
      'application/json': { schema: eventList },
      'text/event-stream': { schema: Type.String({ description: 'Each `data` is an Event in JSON' }) },
    },
  },
};
type Query = Static<typeof queryOfAll>;

/** What happened, in words: a page of it, or as it happens. */
export function events(app: App, context: Context): void {
  app.get(
    '/v1/events',
    {
      schema: {
        operationId: 'listEvents',
        tags: ['events'],
        summary: 'List or follow events',
        querystring: queryOfAll,
        headers,
        response: { ...response, ...problems('invalid_value') },
      },
    },
    async (request, reply) => answer(context, request, reply, request.query, visibleTo(caller(request))),
  );
  app.get(
    '/v1/environments/:id/events',
    {
      schema: {
        operationId: 'listEnvironmentEvents',
        tags: ['events'],
        summary: 'List or follow events of an environment',
        params: idParams,
        querystring: queryOfOne,
        headers,
        response: { ...response, ...problems('invalid_value', 'not_found') },
      },
    },
    async (request, reply) => {
      const { id } = await findEnvironment(context.prisma, request, request.params.id);
      return answer(context, request, reply, request.query, { environmentId: id });
    },
  );
}

async function answer(
  context: Context,
  request: FastifyRequest,
  reply: FastifyReply,
  query: Query,
  scope: { environmentId?: string },
) {
  const { watch, pageSize, pageToken, order, regardingId, ...equal } = query;
  const chosen = { ...given(equal), ...scope };
  // A key of one environment that asks for another sees nothing of it.
  const nothing = equal.environmentId !== undefined && equal.environmentId !== chosen.environmentId;
  const about = regardingId === undefined ? {} : { regarding: { path: ['id'], equals: regardingId } };
  const asksForStream = request.headers.accept?.includes('text/event-stream') === true;
  if (watch ?? asksForStream) return follow(context, request, reply, { ...query, ...chosen });
  const descending = order !== 'oldest';
  const start = pageToken === undefined ? undefined : parseToken(pageToken);
  const size = pageSize ?? 100;
  const rows = nothing
    ? []
    : await context.prisma.event.findMany({
        where: {
          ...chosen,
          ...about,
          ...(start === undefined ? {} : { id: descending ? { lt: start } : { gt: start } }),
        },
        orderBy: { id: descending ? 'desc' : 'asc' },
        take: size + 1,
      });
  const shown = rows.slice(0, size);
  const last = shown.at(-1);
  return {
    items: shown.map(eventView),
    ...(rows.length > size && last !== undefined ? { nextPageToken: tokenOf(last.id) } : {}),
  };
}

async function follow(context: Context, request: FastifyRequest, reply: FastifyReply, query: Query) {
  const given = request.headers['last-event-id'];
  // Before the answer begins: what happens after its first byte is part of it.
  const from = typeof given === 'string' ? BigInt(given) : await context.events.newest();
  const filter = query.environmentId === undefined ? {} : { environmentId: query.environmentId };
  const wanted = (event: { type: string; reason: string; hostId: string | null; regarding: unknown }) =>
    (query.type === undefined || event.type === query.type) &&
    (query.reason === undefined || event.reason === query.reason) &&
    (query.hostId === undefined || event.hostId === query.hostId) &&
    (query.regardingId === undefined || (event.regarding as { id?: string }).id === query.regardingId);
  const stream = openEventStream(reply);
  context.streams.add(stream);
  stream.onClose(() => context.streams.delete(stream));
  const following = context.events.follow(
    filter,
    from,
    (event) => !wanted(event) || stream.send({ id: String(event.id), data: eventView(event) }),
  );
  stream.onClose(following.stop);
  if (reply.raw.destroyed) following.stop();
  return reply;
}

function tokenOf(id: bigint): string {
  return Buffer.from(String(id)).toString('base64url');
}

function parseToken(token: string): bigint {
  const text = Buffer.from(token, 'base64url').toString();
  if (!/^[0-9]{1,18}$/.test(text))
    throw new DomainError('invalid_value', 'pageToken is not one of this list.');
  return BigInt(text);
}
