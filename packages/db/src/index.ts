export { embeddedPostgresUrl } from './embedded/cluster.ts';
export {
  type EmbeddedPostgres,
  type EmbeddedPostgresOptions,
  startEmbeddedPostgres,
} from './embedded/server.ts';
export { maintainEventPartitions, recordEvents } from './events.ts';
export * from './generated/client.ts';
export { listen, notify } from './listen.ts';
export { migrate } from './migrate.ts';
export { type Database, openDatabase, type Queryable } from './open.ts';
