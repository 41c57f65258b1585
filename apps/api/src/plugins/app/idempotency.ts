import { createHash } from 'node:crypto';
import { canonicalJson, DomainError } from '@rancher/domain';
import { openSecret, sealSecret } from '@rancher/pki';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { App, Context } from '../../context.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Set while this request is the first with its idempotency key. */
    idempotencyKey: string | null;
  }
}

/** Headers that a replay repeats. */
const kept = ['location', 'etag', 'content-type'] as const;
/** A first request that never answered (its replica died) holds its key this long. */
const abandonedAfterMs = 60_000;

/**
 * `Idempotency-Key` on POST: the same key with the same body is answered with the first answer, the work is done once.
 * Answers are sealed at rest, since some show a secret once. Failures of ours (5xx) are not kept: they may be retried.
 */
export function idempotency(app: App, context: Context): void {
  app.decorateRequest('idempotencyKey', null);
  app.addHook('preHandler', async (request, reply) => {
    const key = request.headers['idempotency-key'];
    if (typeof key !== 'string' || request.method !== 'POST' || request.principal?.kind !== 'key') return;
    if (await claim(context, request, key)) {
      request.idempotencyKey = key;
      return;
    }
    return replay(context, request, reply, key);
  });
  app.addHook('onSend', async (request, reply, payload) => {
    if (request.idempotencyKey === null) return payload;
    await keep(context, request, reply, payload).catch((error: unknown) =>
      request.log.warn({ err: error }, 'idempotency key not kept'),
    );
    return payload;
  });
}

function fingerprint(request: FastifyRequest): string {
  const body = createHash('sha256')
    .update(canonicalJson(request.body ?? null))
    .digest('hex');
  return `${request.method} ${request.url} ${body}`;
}

async function claim(context: Context, request: FastifyRequest, key: string): Promise<boolean> {
  const principal = request.principal!.id;
  const { count } = await context.prisma.idempotencyKey.createMany({
    data: [{ key, principal, request: fingerprint(request) }],
    skipDuplicates: true,
  });
  if (count === 1) return true;
  const taken = await context.prisma.idempotencyKey.updateMany({
    where: { key, principal, status: null, createdAt: { lt: new Date(Date.now() - abandonedAfterMs) } },
    data: { createdAt: new Date(), request: fingerprint(request) },
  });
  return taken.count === 1;
}

async function replay(context: Context, request: FastifyRequest, reply: FastifyReply, key: string) {
  const row = await context.prisma.idempotencyKey.findUnique({
    where: { principal_key: { key, principal: request.principal!.id } },
  });
  if (row !== null && row.request !== fingerprint(request)) {
    throw new DomainError('idempotency_mismatch', 'This Idempotency-Key was used with another request.');
  }
  if (row === null || row.status === null) {
    throw new DomainError('conflict', 'The first request with this Idempotency-Key is still under way.');
  }
  const { sealed } = row.response as { sealed: string };
  const answer = JSON.parse(openSecret(context.masterKey, Buffer.from(sealed, 'base64')).toString()) as {
    headers: Record<string, string>;
    body: string;
  };
  return reply
    .code(row.status)
    .headers({ ...answer.headers, 'idempotency-replayed': 'true' })
    .serializer((text: unknown) => text as string)
    .send(answer.body);
}

async function keep(
  context: Context,
  request: FastifyRequest,
  reply: FastifyReply,
  payload: unknown,
): Promise<void> {
  const where = { principal_key: { key: request.idempotencyKey!, principal: request.principal!.id } };
  if (reply.statusCode >= 500) {
    await context.prisma.idempotencyKey.delete({ where });
    return;
  }
  const headers = Object.fromEntries(
    kept.flatMap((name) => {
      const value = reply.getHeader(name);
      return value === undefined ? [] : [[name, String(value)]];
    }),
  );
  const body = typeof payload === 'string' ? payload : '';
  const sealed = sealSecret(context.masterKey, JSON.stringify({ headers, body })).toString('base64');
  await context.prisma.idempotencyKey.update({
    where,
    data: { status: reply.statusCode, response: { sealed } },
  });
}
