import type { Environment, Queryable } from '@rancher/db';
import { DomainError } from '@rancher/domain';
import type { FastifyRequest } from 'fastify';
import { maySee, notFound } from '../../../auth/principal.ts';
import { caller } from '../../../plugins/app/authentication.ts';

/**
 * The environment of a path, if the caller may see it. A removed one is gone.
 * @throws DomainError `not_found`
 */
export async function findEnvironment(
  db: Pick<Queryable, 'environment'>,
  request: FastifyRequest,
  id: string,
): Promise<Environment> {
  if (!maySee(caller(request), id)) throw notFound('environment', id);
  const row = await db.environment.findUnique({ where: { id } });
  if (row === null || row.removedAt !== null) throw notFound('environment', id);
  return row;
}

/** @throws DomainError `conflict` when the environment is being removed, as nothing can be changed of it then */
export function assertNotRemoving(environment: Environment): void {
  if (environment.desiredState === 'removed') {
    throw new DomainError('conflict', `Environment ${environment.name} is being removed.`);
  }
}

/** For a dry run, which writes nothing that an index could refuse. @throws DomainError `name_taken` */
export async function assertNameFree(db: Pick<Queryable, 'environment'>, name: string): Promise<void> {
  if ((await db.environment.count({ where: { name, removedAt: null } })) > 0) {
    throw new DomainError('name_taken', `The name ${name} is taken.`, { pointer: '/name' });
  }
}
