import { Prisma } from '@rancher/db';
import { DomainError } from '@rancher/domain';

/** Runs a write whose unique index says that a name is free. @throws DomainError `name_taken` when it is not */
export async function withFreeName<T>(name: string, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    if (error instanceof Prisma.PrismaClientKnownRequestError && error.code === 'P2002') {
      throw new DomainError('name_taken', `The name ${name} is taken.`, { pointer: '/name', cause: error });
    }
    throw error;
  }
}
