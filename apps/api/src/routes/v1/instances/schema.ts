import type { Instance } from '@rancher/db';
import { healths, instanceStates } from '@rancher/domain';
import { type Static, Type } from 'typebox';
import { component, nullable } from '../../../http/components.ts';
import { listOf, nullableTimestamp, timestamp } from '../../../http/schemas.ts';

export const instanceSchema = component(
  'Instance',
  Type.Object({
    id: Type.String(),
    kind: Type.Literal('Instance'),
    name: Type.String({ description: 'Name of its service' }),
    environmentId: Type.String(),
    hostId: Type.String(),
    serviceId: Type.String(),
    service: Type.String(),
    createdAt: timestamp(),
    updatedAt: timestamp(),
    removedAt: nullableTimestamp(),
    spec: Type.Object({
      specHash: Type.String(),
      planGeneration: Type.Integer({ description: 'Generation of the plan that made it' }),
      reason: Type.String({ description: 'Why it was made' }),
      replaces: nullable(Type.String()),
    }),
    status: Type.Object({
      state: Type.String({ enum: [...instanceStates] }),
      health: Type.String({ enum: [...healths] }),
      pid: nullable(Type.Integer({ description: 'Process id, as seen on the machine' })),
      restarts: Type.Integer({
        description: 'Restarts that the agent did by itself, while no server answered',
      }),
      exit: Type.Optional(Type.Object({ code: nullable(Type.Integer()), signal: nullable(Type.String()) })),
      message: nullable(Type.String({ description: 'What was last wrong' })),
      startedAt: nullableTimestamp(),
      healthyAt: nullableTimestamp(),
      exitedAt: nullableTimestamp(),
      certificates: Type.Array(Type.Object({ path: Type.String(), notAfter: Type.String() })),
    }),
  }),
);
export type InstanceView = Static<typeof instanceSchema>;
export const instanceList = listOf('InstanceList', instanceSchema);

export const instanceLog = component(
  'InstanceLog',
  Type.Object({
    kind: Type.Literal('InstanceLog'),
    instanceId: Type.String(),
    source: Type.String({
      enum: ['host', 'stored'],
      description: '`stored`: what the agent sent when it last failed, as the host or the instance is gone',
    }),
    lines: Type.Array(Type.String(), { description: 'Newest last' }),
  }),
);

export function instanceView(row: Instance): InstanceView {
  const exit = row.exit as InstanceView['status']['exit'] | null;
  return {
    id: row.id,
    kind: 'Instance',
    name: row.service,
    environmentId: row.environmentId,
    hostId: row.hostId,
    serviceId: row.serviceId,
    service: row.service,
    createdAt: row.createdAt.toISOString(),
    updatedAt: row.updatedAt.toISOString(),
    removedAt: row.removedAt?.toISOString() ?? null,
    spec: {
      specHash: row.specHash,
      planGeneration: row.planGeneration,
      reason: row.reason,
      replaces: row.replaces,
    },
    status: {
      state: row.state,
      health: row.health,
      pid: row.pid,
      restarts: row.restarts,
      ...(exit === null || exit === undefined ? {} : { exit }),
      message: row.message,
      startedAt: row.startedAt?.toISOString() ?? null,
      healthyAt: row.healthyAt?.toISOString() ?? null,
      exitedAt: row.exitedAt?.toISOString() ?? null,
      certificates: row.certificates as InstanceView['status']['certificates'],
    },
  };
}
