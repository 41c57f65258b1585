import { contentHash, DomainError } from '@rancher/domain';

interface Position {
  createdAt: Date;
  id: string;
}

/**
 * Pages by keyset: a token names the last row that was seen, so that rows which come or go do not shift pages. It
 * carries a hash of the filters, as a token means nothing with others.
 */
export function pageStart(token: string | undefined, filters: unknown): Position | undefined {
  if (token === undefined) return undefined;
  try {
    const [time, id, hash] = JSON.parse(Buffer.from(token, 'base64url').toString()) as [
      number,
      string,
      string,
    ];
    if (typeof time === 'number' && typeof id === 'string' && hash === contentHash(filters)) {
      return { createdAt: new Date(time), id };
    }
  } catch {
    // the same answer as for a token of other filters
  }
  throw new DomainError('invalid_value', 'pageToken is not one of this list with these filters.');
}

export function pageToken(last: Position, filters: unknown): string {
  return Buffer.from(JSON.stringify([last.createdAt.getTime(), last.id, contentHash(filters)])).toString(
    'base64url',
  );
}

/** The `where` of Prisma for rows after a position, by creation. */
export function after(start: Position | undefined, order: 'asc' | 'desc') {
  if (start === undefined) return {};
  const compare = order === 'asc' ? 'gt' : 'lt';
  return {
    OR: [
      { createdAt: { [compare]: start.createdAt } },
      { createdAt: start.createdAt, id: { [compare]: start.id } },
    ],
  };
}

export interface PageQuery {
  pageSize?: number;
  pageToken?: string;
}

/**
 * Reads one page. `find` gets what to add to its query and must return rows by (createdAt, id).
 * @param filters everything of the query that chooses rows, for the token
 */
export async function page<Row extends Position, View>(
  query: PageQuery,
  options: {
    filters: unknown;
    order?: 'asc' | 'desc';
    find: (q: {
      where: ReturnType<typeof after>;
      orderBy: ({ createdAt: 'asc' | 'desc' } | { id: 'asc' | 'desc' })[];
      take: number;
    }) => Promise<Row[]>;
    view: (row: Row) => View;
  },
): Promise<{ items: View[]; nextPageToken?: string }> {
  const order = options.order ?? 'asc';
  const size = query.pageSize ?? 100;
  const rows = await options.find({
    where: after(pageStart(query.pageToken, options.filters), order),
    orderBy: [{ createdAt: order }, { id: order }],
    take: size + 1,
  });
  const shown = rows.slice(0, size);
  const last = shown.at(-1);
  return {
    items: shown.map(options.view),
    ...(rows.length > size && last !== undefined ? { nextPageToken: pageToken(last, options.filters) } : {}),
  };
}
