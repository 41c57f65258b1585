import type { Host, Queryable } from '@rancher/db';
import { DomainError } from '@rancher/domain';
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

/**
 * A host that an action is asked of: one of an environment, and not on its way out.
 * @throws DomainError `not_found`, `wrong_host_kind`, `conflict`
 */
export async function findHostOfEnvironment(
  db: Pick<Queryable, 'host'>,
  request: FastifyRequest,
  id: string,
): Promise<Host & { environmentId: string }> {
  const host = await findHost(db, request, id);
  const { environmentId } = host;
  if (environmentId === null) {
    throw new DomainError('wrong_host_kind', `${host.name} only makes local hosts; it is of no environment.`);
  }
  if (host.desiredState === 'removed')
    throw new DomainError('conflict', `Host ${host.name} is being removed.`);
  return { ...host, environmentId };
}
