import type { Host, Queryable } from '@rancher/db';
import type { FastifyRequest } from 'fastify';
import { maySee, notFound } from '../../../auth/principal.ts';
import { caller } from '../../../plugins/app/authentication.ts';

/** The host of a path, if the caller may see it. @throws DomainError `not_found` */
export async function findHost(
  db: Pick<Queryable, 'host'>,
  request: FastifyRequest,
  id: string,
): Promise<Host> {
  const row = await db.host.findFirst({ where: { id, removedAt: null } });
  if (row === null || !maySee(caller(request), row.environmentId)) throw notFound('host', id);
  return row;
}
