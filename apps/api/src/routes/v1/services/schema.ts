import type { Service } from '@rancher/db';
import { serviceHealths } from '@rancher/domain';
import { type Static, Type } from 'typebox';
import { component, nullable } from '../../../http/components.ts';
import { listOf, timestamp } from '../../../http/schemas.ts';

export const serviceSchema = component(
  'Service',
  Type.Object({
    id: Type.String(),
    kind: Type.Literal('Service'),
    name: Type.String({ description: "The component's name" }),
    environmentId: Type.String(),
    stackId: Type.String(),
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

export function serviceView(row: Service): Static<typeof serviceSchema> {
  return {
    id: row.id,
    kind: 'Service',
    name: row.name,
    environmentId: row.environmentId,
    stackId: row.stackId,
    createdAt: row.createdAt.toISOString(),
    updatedAt: row.updatedAt.toISOString(),
    spec: { version: row.version, scale: row.scale },
    status: { health: row.health },
  };
}
