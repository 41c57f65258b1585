import type { Stack } from '@rancher/db';
import { serviceHealths } from '@rancher/domain';
import { type Static, Type } from 'typebox';
import { component } from '../../../http/components.ts';
import { listOf, timestamp } from '../../../http/schemas.ts';

export const stackSchema = component(
  'Stack',
  Type.Object({
    id: Type.String(),
    kind: Type.Literal('Stack'),
    name: Type.String(),
    environmentId: Type.String(),
    createdAt: timestamp(),
    updatedAt: timestamp(),
    spec: Type.Object({
      kind: Type.String({ enum: ['system', 'user'] }),
      template: Type.String(),
      templateVersion: Type.String(),
    }),
    status: Type.Object({ health: Type.String({ enum: [...serviceHealths] }) }),
  }),
);
export const stackList = listOf('StackList', stackSchema);

export function stackView(row: Stack): Static<typeof stackSchema> {
  return {
    id: row.id,
    kind: 'Stack',
    name: row.name,
    environmentId: row.environmentId,
    createdAt: row.createdAt.toISOString(),
    updatedAt: row.updatedAt.toISOString(),
    spec: { kind: row.kind, template: row.template, templateVersion: row.templateVersion },
    status: { health: row.health },
  };
}
