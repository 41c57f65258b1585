import { components, type Placement } from '@rancher/components';
import type { Queryable } from '@rancher/db';
import { derivedId, parseScheduling, stackLabels } from '@rancher/domain';
import type { PlannerService } from '@rancher/planner';

export const systemStackName = 'kubernetes';

/** Version of each component's program, by its name. */
export function stackVersions(kubernetesVersion: string): Map<string, string> {
  return new Map(components.map((c) => [c.name, c.version(kubernetesVersion)]));
}

/**
 * Makes the system stack's row and one service for each component, where they are missing, and brings versions up to
 * date. Idempotent, and safe to run at the same time as itself.
 */
export async function ensureSystemStack(
  db: Queryable,
  environment: { environmentId: string; kubernetesVersion: string; controlPlaneReplicas: number },
): Promise<void> {
  const { environmentId, kubernetesVersion, controlPlaneReplicas } = environment;
  const stackId = derivedId('stack', environmentId, systemStackName);
  await db.$executeRaw`
    INSERT INTO "Stack" ("id", "environmentId", "name", "kind", "template", "templateVersion")
    VALUES (${stackId}, ${environmentId}, ${systemStackName}, 'system', ${systemStackName}, ${kubernetesVersion})
    ON CONFLICT ("environmentId", "name") DO UPDATE SET "templateVersion" = excluded."templateVersion"`;
  const rows = components.map((c) => ({
    id: derivedId('service', environmentId, c.name),
    name: c.name,
    version: c.version(kubernetesVersion),
    scale: scaleOf(c.placement, controlPlaneReplicas),
  }));
  await db.$executeRaw`
    INSERT INTO "Service" ("id", "environmentId", "stackId", "name", "version", "scale")
    SELECT r."id", ${environmentId}, s."id", r."name", r."version", r."scale"
    FROM jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) AS r("id" text, "name" text, "version" text, "scale" int)
    JOIN "Stack" s ON s."environmentId" = ${environmentId} AND s."name" = ${systemStackName}
    ON CONFLICT ("stackId", "name") DO UPDATE
      SET "version" = excluded."version", "scale" = excluded."scale"`;
}

/** How many instances a component has: as many as the control plane has hosts, or (null) one on every host. */
export function scaleOf(placement: Placement, controlPlaneReplicas: number): number | null {
  return placement === 'all' ? null : controlPlaneReplicas;
}

/** The rows as the planner takes them; what has no component any more is not a service. */
export function plannerServices(
  rows: readonly { id: string; name: string; scale: number | null; labels?: Record<string, string> }[],
): PlannerService[] {
  return components.flatMap((component) => {
    const row = rows.find((r) => r.name === component.name);
    if (row === undefined) return [];
    const { name, placement, after } = component;
    const own = { stack: systemStackName, service: name };
    const { global, rules } = parseScheduling(row.labels ?? {}, own);
    const scale = global === true ? null : row.scale;
    return [
      { id: row.id, name, placement, after, scale, rules, labels: { ...row.labels, ...stackLabels(own) } },
    ];
  });
}
