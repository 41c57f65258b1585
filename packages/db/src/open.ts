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
      // A server that does not answer is not waited for for ever (ms); nor is a free connection, for which a crowd waits
      // as long as for a transaction below.
      connectionTimeoutMillis: 15_000,
      keepAlive: true,
    },
    {
      onPoolError: (error) => onError(error),
      onConnectionError: (error) => onError(error),
      statementNameGenerator: statementNames(),
    },
  );
  // In a crowd a transaction waits for a connection rather than fail: Prisma's own default gives up after 2 s.
  const prisma = new PrismaClient({ adapter, transactionOptions: { maxWait: 15_000, timeout: 30_000 } });
  return { prisma, close: () => prisma.$disconnect() };
}

/** So many statements at most are kept prepared in each connection. */
const maxStatements = 200;

/**
 * Names the statements that come again and again, so that Postgres parses and plans each once for a connection: a third
 * less of its time. Without a name stay those beyond a bound (a list of values has as many forms as lengths) and those
 * with a star, whose columns a migration may change under a prepared one.
 */
function statementNames(): (query: { sql: string }) => string {
  const names = new Map<string, string>();
  return ({ sql }) => {
    const known = names.get(sql);
    if (known !== undefined) return known;
    if (names.size >= maxStatements || sql.includes('*')) return '';
    const name = `s${names.size}`;
    names.set(sql, name);
    return name;
  };
}
