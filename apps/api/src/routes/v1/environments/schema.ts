import { environmentOptionsSchema } from '@rancher/components';
import type { Environment } from '@rancher/db';
import { type Condition, environmentDesiredStates, environmentStates, serviceHealths } from '@rancher/domain';
import { type Static, Type } from 'typebox';
import { component, nullable } from '../../../http/components.ts';
import { patchOf } from '../../../http/merge-patch.ts';
import {
  anything,
  closed,
  conditions,
  dnsLabel,
  labels,
  labelsPatch,
  labelsView,
  listOf,
  nullableTimestamp,
  timestamp,
} from '../../../http/schemas.ts';

import { hostNetwork } from '../hosts/schema.ts';

export const environmentSchema = component(
  'Environment',
  Type.Object({
    id: Type.String(),
    kind: Type.Literal('Environment'),
    name: Type.String(),
    description: Type.String(),
    labels: labelsView,
    createdAt: timestamp(),
    updatedAt: timestamp(),
    generation: Type.Integer({ description: 'Grows with each change of `spec`' }),
    spec: Type.Object({
      desiredState: Type.String({ enum: [...environmentDesiredStates] }),
      kubernetesVersion: Type.String(),
      podCidr: Type.String(),
      serviceCidr: Type.String(),
      controlPlane: Type.Object({
        replicas: Type.Integer({ description: 'Members of etcd, and hosts that run the control plane' }),
      }),
      options: anything('Options of the system stack'),
    }),
    status: Type.Object({
      state: Type.String({ enum: [...environmentStates] }),
      health: Type.String({ enum: [...serviceHealths] }),
      conditions,
      observedGeneration: Type.Integer({ description: 'The last `generation` that was carried through' }),
      targetPlanId: nullable(Type.String({ description: 'The plan that the hosts carry out' })),
      activeAt: nullableTimestamp('When it first became active'),
    }),
  }),
);
export const environmentList = listOf('EnvironmentList', environmentSchema);

const environmentOptions = component('EnvironmentOptions', environmentOptionsSchema);
const environmentOptionsPatch = component('EnvironmentOptionsPatch', patchOf(environmentOptionsSchema));

const controlPlane = (description: string) =>
  closed({
    replicas: Type.Optional(
      Type.Integer({
        enum: [1, 3, 5],
        description: `Members of etcd, and hosts that run the control plane. ${description}`,
      }),
    ),
  });

const cidr = (description: string) => Type.String({ description, maxLength: 18 });

export const environmentCreate = component(
  'EnvironmentCreate',
  closed({
    name: dnsLabel('Unique among environments'),
    description: Type.Optional(Type.String({ maxLength: 1000 })),
    labels: Type.Optional(labels),
    spec: Type.Optional(
      closed({
        kubernetesVersion: Type.Optional(
          Type.String({ description: 'One of /v1/versions; its default when left out' }),
        ),
        podCidr: Type.Optional(
          cidr('Private IPv4 block, /20 or larger: each host takes a /24 of it. Default 10.42.0.0/16'),
        ),
        serviceCidr: Type.Optional(cidr('Private IPv4 block from /24 to /12. Default 10.43.0.0/16')),
        controlPlane: Type.Optional(controlPlane('Default 3 with three hosts or more, else 1')),
        options: Type.Optional(environmentOptions),
        hosts: Type.Optional(
          closed(
            {
              local: Type.Optional(
                Type.Integer({ minimum: 0, maximum: 100, description: 'Local hosts to make' }),
              ),
              networks: Type.Optional(
                Type.Array(hostNetwork, {
                  minItems: 1,
                  maxItems: 8,
                  description: 'Networks that the local hosts are spread over in turn',
                }),
              ),
            },
            { description: 'Hosts to make with the environment' },
          ),
        ),
      }),
    ),
  }),
);
export type EnvironmentCreate = Static<typeof environmentCreate>;

export const environmentPatch = component(
  'EnvironmentPatch',
  closed(
    {
      name: Type.Optional(dnsLabel('Only the one it has: a name is for ever')),
      description: Type.Optional(Type.String({ maxLength: 1000 })),
      labels: Type.Optional(labelsPatch),
      spec: Type.Optional(
        closed({
          controlPlane: Type.Optional(controlPlane('Grows or shrinks by one member of etcd at a time')),
          options: Type.Optional(environmentOptionsPatch),
        }),
      ),
    },
    { description: 'JSON merge patch (RFC 7396)' },
  ),
);
export type EnvironmentPatch = Static<typeof environmentPatch>;

export function environmentView(row: Environment): Static<typeof environmentSchema> {
  return {
    id: row.id,
    kind: 'Environment',
    name: row.name,
    description: row.description,
    labels: row.labels as Record<string, string>,
    createdAt: row.createdAt.toISOString(),
    updatedAt: row.updatedAt.toISOString(),
    generation: row.generation,
    spec: {
      desiredState: row.desiredState,
      kubernetesVersion: row.kubernetesVersion,
      podCidr: row.podCidr,
      serviceCidr: row.serviceCidr,
      controlPlane: { replicas: row.controlPlaneReplicas },
      options: row.options as Record<string, unknown>,
    },
    status: {
      state: row.state,
      health: row.health,
      conditions: row.conditions as unknown as Condition[],
      observedGeneration: row.observedGeneration,
      targetPlanId: row.targetPlanId,
      activeAt: row.activeAt?.toISOString() ?? null,
    },
  };
}
