import { PrismaPg } from '@prisma/adapter-pg';
import { type Prisma, PrismaClient } from './generated/client.ts';

/** A client, or a transaction of one: what takes part in the caller's transaction takes this. */
export type Queryable = Prisma.TransactionClient;

export interface Database {
  prisma: PrismaClient;
  close(): Promise<void>;
}

/**
 * Opens a pool of connections; each is made on first use and again when lost, so this never fails.
 * @param options.maxConnections 10 by default
 * @param options.onError takes errors of idle connections, such as the server going away
 */
export function openDatabase(options: {
  url: string;
  maxConnections?: number;
  onError?: (error: Error) => void;
}): Database {
  const onError = options.onError ?? (() => {});
  const adapter = new PrismaPg(
    {
      connectionString: options.url,
      max: options.maxConnections ?? 10,
      // A dead server is noticed within this, and not waited for for ever (ms).
      connectionTimeoutMillis: 5_000,
      keepAlive: true,
    },
    { onPoolError: (error) => onError(error), onConnectionError: (error) => onError(error) },
  );
  const prisma = new PrismaClient({ adapter });
  return { prisma, close: () => prisma.$disconnect() };
}
