import type { PrismaClient } from '@rancher/db';
import type { Queue } from '@rancher/queue';
import type { Cluster } from './cluster.ts';
import type { SpecCache } from './specs.ts';

/** What reconcilers work with. */
export interface Context {
  prisma: PrismaClient;
  queue: Pick<Queue, 'enqueue'>;
  /** Secrets of environments are sealed under it. */
  masterKey: Buffer;
  /** Looks into the environments' clusters. */
  cluster: Cluster;
  specs: SpecCache;
  logger: Log;
}

export interface Log {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}
