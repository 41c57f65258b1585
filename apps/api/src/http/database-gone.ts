/** Codes of sockets, of Prisma and of Postgres (SQLSTATE) that say "not reached", "hung up", "shutting down", "starting". */
const codes =
  /^(ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|P1001|P1002|P1008|P1017|P2024|08...|53300|57P0[123])$/;
const kinds = new Set(['DatabaseNotReachable', 'ConnectionClosed', 'SocketTimeout', 'TooManyConnections']);
const messages =
  /Can't reach database|Connection terminated|timeout exceeded when trying to connect|timeout expired|is (shutting down|starting up|not yet accepting)/;
const maxDepth = 6;

interface Layer {
  code?: unknown;
  originalCode?: unknown;
  kind?: unknown;
  message?: unknown;
  cause?: unknown;
  meta?: { driverAdapterError?: unknown };
}

/**
 * Whether an error says that Postgres cannot be reached, rather than that a query is wrong. Prisma, its adapter and pg
 * each wrap what is below, so every layer is looked at.
 */
export function databaseIsGone(error: unknown, depth = 0): boolean {
  if (typeof error !== 'object' || error === null || depth > maxDepth) return false;
  const { code, originalCode, kind, message, cause, meta } = error as Layer;
  return (
    [code, originalCode].some((c) => typeof c === 'string' && codes.test(c)) ||
    (typeof kind === 'string' && kinds.has(kind)) ||
    (typeof message === 'string' && messages.test(message)) ||
    databaseIsGone(cause, depth + 1) ||
    databaseIsGone(meta?.driverAdapterError, depth + 1)
  );
}
