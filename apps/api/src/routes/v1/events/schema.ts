import type { Event } from '@rancher/db';
import { type Static, Type } from 'typebox';
import { component, nullable } from '../../../http/components.ts';
import { anything, listOf, timestamp } from '../../../http/schemas.ts';

export const eventSchema = component(
  'Event',
  Type.Object({
    id: Type.String({ description: 'Grows with time; what `Last-Event-ID` names' }),
    kind: Type.Literal('Event'),
    environmentId: nullable(Type.String()),
    hostId: nullable(Type.String()),
    createdAt: timestamp(),
    type: Type.String({ enum: ['Normal', 'Warning'] }),
    reason: Type.String({ description: 'For programs' }),
    message: Type.String({ description: 'For people' }),
    regarding: Type.Object({ kind: Type.String(), id: Type.String(), name: Type.Optional(Type.String()) }),
    data: Type.Optional(anything('Figures for programs')),
  }),
);
export type EventView = Static<typeof eventSchema>;
export const eventList = listOf('EventList', eventSchema);

export function eventView(row: Event): EventView {
  return {
    id: String(row.id),
    kind: 'Event',
    environmentId: row.environmentId,
    hostId: row.hostId,
    createdAt: row.createdAt.toISOString(),
    type: row.type,
    reason: row.reason,
    message: row.message,
    regarding: row.regarding as EventView['regarding'],
    ...(row.data === null ? {} : { data: row.data as Record<string, unknown> }),
  };
}
