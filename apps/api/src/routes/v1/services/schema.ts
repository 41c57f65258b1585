import type { Service } from '@rancher/db';
import { serviceHealths } from '@rancher/domain';
import { type Static, Type } from 'typebox';
import { component, nullable } from '../../../http/components.ts';
import { closed, labelsView, listOf, timestamp } from '../../../http/schemas.ts';

export const serviceSchema = component(
  'Service',
  Type.Object({
    id: Type.String(),
    kind: Type.Literal('Service'),
    name: Type.String({ description: "The component's name" }),
    environmentId: Type.String(),
    stackId: Type.String(),
    labels: labelsView,
    createdAt: timestamp(),
    updatedAt: timestamp(),
    spec: Type.Object({
      version: Type.String(),
      scale: nullable(Type.Integer({ description: 'Null: one on every eligible host' })),
    }),
    status: Type.Object({ health: Type.String({ enum: [...serviceHealths] }) }),
  }),
);
export const serviceList = listOf('ServiceList', serviceSchema);

const labelsChange = Type.Unsafe<Record<string, string | null>>({
  type: 'object',
  maxProperties: 64,
  propertyNames: { minLength: 1, maxLength: 253 },
  additionalProperties: { type: ['string', 'null'], maxLength: 1000 },
  description:
    'Where the service may run, in the terms of Rancher 1.x (`io.rancher.scheduler.global`, `io.rancher.scheduler.affinity:…`), and other labels that rules of services can name. null takes one away.',
});

export const servicePatch = component(
  'ServicePatch',
  closed({ labels: Type.Optional(labelsChange) }, { description: 'JSON merge patch (RFC 7396)' }),
);

export function serviceView(row: Service): Static<typeof serviceSchema> {
  return {
    id: row.id,
    kind: 'Service',
    name: row.name,
    environmentId: row.environmentId,
    stackId: row.stackId,
    labels: row.labels as Record<string, string>,
    createdAt: row.createdAt.toISOString(),
    updatedAt: row.updatedAt.toISOString(),
    spec: { version: row.version, scale: row.scale },
    status: { health: row.health },
  };
}
