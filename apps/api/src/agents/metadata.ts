import type { PrismaClient } from '@rancher/db';
import { contentHash, type Metadata } from '@rancher/domain';
import type { Logger } from '@rancher/telemetry';
import { databaseIsGone } from '../http/database-gone.ts';
import type { Connections } from './connections.ts';

/** Changes of one moment go together: an environment that is made changes many times a second. */
const debounceMs = 1_000;
/** Environments that are read with one statement: what is in memory at a time stays small. */
const together = 20;

/** What of each environment is told to its hosts. Each field is named: nothing else gets out. By environment id. */
export async function loadMetadata(
  prisma: PrismaClient,
  environmentIds: readonly string[],
): Promise<Map<string, Metadata>> {
  const rows = await prisma.$queryRaw<Omit<Metadata, 'version'>[]>`
    SELECT jsonb_build_object('id', e."id", 'name', e."name", 'kubernetesVersion', e."kubernetesVersion",
        'podCidr', e."podCidr", 'serviceCidr', e."serviceCidr") AS "environment",
      (SELECT coalesce(jsonb_agg(jsonb_build_object('id', h."id", 'name', h."name", 'state', h."state",
          'address', coalesce(h."address", h."facts"->>'address'), 'labels', h."labels",
          'cores', h."facts"->'cores', 'memoryBytes', h."facts"->'memoryBytes') ORDER BY h."name", h."id"), '[]')
        FROM "Host" h WHERE h."environmentId" = e."id" AND h."removedAt" IS NULL) AS "hosts",
      (SELECT coalesce(jsonb_agg(jsonb_build_object('id', k."id", 'name', k."name", 'kind', k."kind")
          ORDER BY k."name"), '[]')
        FROM "Stack" k WHERE k."environmentId" = e."id") AS "stacks",
      (SELECT coalesce(jsonb_agg(jsonb_build_object('id', s."id", 'stackId', s."stackId", 'name', s."name",
          'version', s."version", 'scale', s."scale", 'health', s."health", 'labels', s."labels")
          ORDER BY s."name", s."id"), '[]')
        FROM "Service" s WHERE s."environmentId" = e."id") AS "services",
      (SELECT coalesce(jsonb_agg(jsonb_build_object('id', i."id", 'serviceId', i."serviceId", 'hostId', i."hostId",
          'state', i."state", 'health', i."health") ORDER BY i."service", i."id"), '[]')
        FROM "Instance" i WHERE i."environmentId" = e."id" AND i."removedAt" IS NULL) AS "instances"
    FROM "Environment" e WHERE e."id" = ANY(${[...environmentIds]}) AND e."removedAt" IS NULL`;
  return new Map(
    rows.map(({ environment, hosts, stacks, services, instances }) => {
      const content = { environment, hosts, stacks, services, instances };
      return [environment.id, { version: contentHash(content), ...content }];
    }),
  );
}

export interface MetadataSender {
  /** Something of the environment changed: its hosts are told within a second or two, if they do not know it yet. */
  changed(environmentId: string): void;
  /** Looks at every environment of which a host is connected here. */
  changedAny(): void;
  close(): Promise<void>;
}

/** Tells hosts the metadata of their environment, each version once. A database that is away is asked again. */
export function createMetadataSender(options: {
  prisma: PrismaClient;
  connections: Connections;
  logger: Logger;
}): MetadataSender {
  const { prisma, connections, logger } = options;
  const waiting = new Set<string>();
  let timer: NodeJS.Timeout | undefined;
  let sending: Promise<void> | undefined;
  let closed = false;

  function schedule(): void {
    if (closed || waiting.size === 0) return;
    timer ??= setTimeout(() => {
      timer = undefined;
      sending = send().finally(() => {
        sending = undefined;
        schedule();
      });
    }, debounceMs);
  }

  async function send(): Promise<void> {
    const environmentIds = [...waiting];
    waiting.clear();
    try {
      for (let i = 0; i < environmentIds.length && !closed; i += together)
        await sendOf(environmentIds.slice(i, i + together));
    } catch (error) {
      if (!databaseIsGone(error)) logger.error({ err: error }, 'metadata not sent');
      for (const id of environmentIds) waiting.add(id);
    }
  }

  async function sendOf(environmentIds: readonly string[]): Promise<void> {
    const present = connections.all().filter((connection) => connection.greeted);
    const byEnvironment = Map.groupBy(present, (connection) => connection.info.environmentId);
    const wanted = environmentIds.filter((id) => byEnvironment.has(id));
    if (wanted.length === 0) return;
    for (const [id, metadata] of await loadMetadata(prisma, wanted)) {
      const behind = byEnvironment.get(id)!.filter((c) => c.sentMetadata !== metadata.version);
      if (behind.length === 0) continue;
      const text = JSON.stringify({ type: 'metadata', metadata });
      for (const connection of behind) {
        connection.sentMetadata = metadata.version;
        connection.sendText(text);
      }
    }
  }

  return {
    changed(environmentId) {
      waiting.add(environmentId);
      if (sending === undefined) schedule();
    },
    changedAny() {
      for (const { info } of connections.all())
        if (info.environmentId !== null) waiting.add(info.environmentId);
      if (sending === undefined) schedule();
    },
    async close() {
      closed = true;
      clearTimeout(timer);
      await sending;
    },
  };
}
