import { type TProperties, type TSchema, Type } from 'typebox';
import { notFound, visibleTo } from '../auth/principal.ts';
import type { App, Context } from '../context.ts';
import { caller } from '../plugins/app/authentication.ts';
import { findEnvironment } from '../routes/v1/environments/find.ts';
import { withEtag } from './etag.ts';
import { given, whereLabels } from './list.ts';
import { page } from './pages.ts';
import { closed, idParams, labelSelectorQuery, pageQuery, problems } from './schemas.ts';

interface Row {
  id: string;
  createdAt: Date;
  environmentId: string | null;
}

interface Query {
  where: object;
  orderBy: ({ createdAt: 'asc' | 'desc' } | { id: 'asc' | 'desc' })[];
  take: number;
}

/** A resource that belongs to an environment and is read in the usual ways. */
export interface Readable<R extends Row> {
  /** As in the path and the tag: `services`. */
  plural: string;
  /** As in operation ids: `Service`. */
  singular: string;
  item: TSchema;
  list: TSchema;
  /** Fields of the query that equal columns. */
  filters: TProperties;
  /** Turns what of the query does not equal a column into a `where`. */
  where?: (query: Record<string, unknown>) => object;
  labelled?: boolean;
  order?: 'asc' | 'desc';
  find(context: Context, query: Query): Promise<R[]>;
  get(context: Context, id: string): Promise<R | null>;
  view(row: R): unknown;
  /** For one row; a list cannot afford what this may look up. */
  viewOne?: (context: Context, row: R) => Promise<unknown>;
}

/** `GET /v1/<plural>`, `GET /v1/<plural>/:id` and `GET /v1/environments/:id/<plural>`. */
export function readable<R extends Row>(app: App, context: Context, resource: Readable<R>): void {
  const filters = {
    ...resource.filters,
    ...(resource.labelled === true ? labelSelectorQuery : {}),
    ...pageQuery,
  };
  const common = { tags: [resource.plural] };

  app.get(
    `/v1/${resource.plural}`,
    {
      schema: {
        ...common,
        operationId: `list${pluralName(resource)}`,
        summary: `List ${resource.plural} of every environment`,
        querystring: closed({ environmentId: Type.Optional(Type.String()), ...filters }),
        response: { 200: resource.list, ...problems() },
      },
    },
    async (request) =>
      list(context, resource, request.query as Record<string, unknown>, visibleTo(caller(request))),
  );

  app.get(
    `/v1/environments/:id/${resource.plural}`,
    {
      schema: {
        ...common,
        operationId: `listEnvironment${pluralName(resource)}`,
        summary: `List ${resource.plural} of an environment`,
        params: idParams,
        querystring: closed(filters),
        response: { 200: resource.list, ...problems('not_found') },
      },
    },
    async (request) => {
      const { id } = await findEnvironment(context.prisma, request, request.params.id);
      return list(context, resource, request.query as Record<string, unknown>, { environmentId: id });
    },
  );

  app.get(
    `/v1/${resource.plural}/:id`,
    {
      schema: {
        ...common,
        operationId: `get${resource.singular}`,
        summary: `Read one of the ${resource.plural}`,
        params: idParams,
        response: { 200: resource.item, ...problems('not_found') },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      const row = await resource.get(context, id);
      const { environmentId } = caller(request);
      if (row === null || (environmentId !== null && row.environmentId !== environmentId)) {
        throw notFound(resource.singular.toLowerCase(), id);
      }
      const view = resource.viewOne === undefined ? resource.view(row) : await resource.viewOne(context, row);
      return 'resourceVersion' in row
        ? withEtag(request, reply, row as unknown as { resourceVersion: number }, view)
        : view;
    },
  );
}

function list<R extends Row>(
  context: Context,
  resource: Readable<R>,
  query: Record<string, unknown>,
  scope: { environmentId?: string },
) {
  const { pageSize, pageToken, labelSelector, ...rest } = query;
  const equal = resource.where === undefined ? given(rest) : resource.where(given(rest));
  const order = resource.order ?? 'asc';
  return page(given({ pageSize, pageToken }) as { pageSize?: number; pageToken?: string }, {
    filters: { ...rest, labelSelector, scope },
    order,
    find: ({ where, orderBy, take }) =>
      resource.find(context, {
        where: { AND: [where, whereLabels(labelSelector as string | undefined), equal, scope] },
        orderBy,
        take,
      }),
    view: (row) => resource.view(row),
  });
}

function pluralName(resource: { plural: string }): string {
  return resource.plural[0]!.toUpperCase() + resource.plural.slice(1);
}
