import type { Host } from '@rancher/db';
import { type Condition, hostKinds, hostPowers, hostStates } from '@rancher/domain';
import { type Static, Type } from 'typebox';
import { component, nullable } from '../../../http/components.ts';
import {
  anything,
  closed,
  conditions,
  dnsLabel,
  labelsView,
  listOf,
  nullableTimestamp,
  timestamp,
  userLabels,
  userLabelsPatch,
} from '../../../http/schemas.ts';

export const hostSchema = component(
  'Host',
  Type.Object({
    id: Type.String(),
    kind: Type.Literal('Host'),
    name: Type.String(),
    environmentId: nullable(Type.String({ description: 'Null: a machine that only makes local hosts' })),
    labels: labelsView,
    createdAt: timestamp(),
    updatedAt: timestamp(),
    generation: Type.Integer(),
    spec: Type.Object({
      kind: Type.String({ enum: [...hostKinds] }),
      machineId: nullable(Type.String({ description: 'The machine that makes this local host' })),
      network: nullable(Type.String({ description: 'The network of its machine that a local host is on' })),
      desiredState: Type.String({ enum: ['active', 'removed'] }),
      unschedulable: Type.Boolean({ description: 'Its Node takes no new pods, as a user asked here' }),
      evacuated: Type.Boolean({
        description: 'Nothing of the environment runs on it, and it has no Node, until it is uncordoned',
      }),
      power: Type.String({ enum: [...hostPowers], description: 'Off can be only a local host' }),
    }),
    status: Type.Object({
      state: Type.String({ enum: [...hostStates] }),
      conditions,
      address: nullable(Type.String()),
      facts: Type.Optional(anything('What the agent found on it')),
      connected: Type.Boolean({ description: 'Whether its agent has a socket with the server' }),
      connectedAt: nullableTimestamp(),
      lastSeenAt: nullableTimestamp(),
      appliedGeneration: Type.Integer({
        description:
          'Generation of the last plan that changed something on the host and that its agent applied',
      }),
    }),
  }),
);
export const hostList = listOf('HostList', hostSchema);

export const hostNetwork = dnsLabel(
  'Network of the machine: each has a subnet of its own, and hosts reach each other through the machine. Default: default',
);

export const hostCreate = component(
  'HostCreate',
  closed({
    kind: Type.String({
      enum: ['local'],
      description: 'Machines join by themselves, with a registration token',
    }),
    name: Type.Optional(dnsLabel('Unique in the environment')),
    labels: Type.Optional(userLabels),
    network: Type.Optional(hostNetwork),
  }),
);
export const hostPatch = component(
  'HostPatch',
  closed({ labels: Type.Optional(userLabelsPatch) }, { description: 'JSON merge patch (RFC 7396)' }),
);

export function hostView(row: Host): Static<typeof hostSchema> {
  return {
    id: row.id,
    kind: 'Host',
    name: row.name,
    environmentId: row.environmentId,
    labels: row.labels as Record<string, string>,
    createdAt: row.createdAt.toISOString(),
    updatedAt: row.updatedAt.toISOString(),
    generation: row.generation,
    spec: {
      kind: row.kind,
      machineId: row.machineId,
      network: row.network,
      desiredState: row.desiredState,
      unschedulable: row.unschedulable === true,
      evacuated: row.evacuated,
      power: row.power,
    },
    status: {
      state: row.state,
      conditions: row.conditions as unknown as Condition[],
      address: row.address,
      ...(row.facts === null ? {} : { facts: row.facts as Record<string, unknown> }),
      connected: row.connectionId !== null && row.state === 'active',
      connectedAt: row.connectedAt?.toISOString() ?? null,
      lastSeenAt: row.lastSeenAt?.toISOString() ?? null,
      appliedGeneration: row.appliedGeneration,
    },
  };
}
