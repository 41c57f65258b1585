import { type PlaneMode, planeModes } from '@rancher/domain';
import { type Static, Type } from 'typebox';

const strict = { additionalProperties: false } as const;

/** What a user may set of the system stack. Everything has a default; unknown fields are refused. */
export const environmentOptionsSchema = Type.Object(
  {
    planes: Type.Optional(
      Type.Unsafe<PlaneMode>({
        type: 'string',
        enum: [...planeModes],
        description:
          'overlapping (default): host labels etcd=true and orchestration=true are followed where they can be. isolated: nothing of a plane runs on a host without its label, and pods only where compute=true.',
      }),
    ),
    maxPodsPerHost: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 1000, description: 'Pods that one host may run. Default 110.' }),
    ),
    nodeCidrMaskSize: Type.Optional(
      Type.Integer({
        minimum: 16,
        maximum: 28,
        description: 'Prefix of the block of pod addresses that each host gets. Default 24.',
      }),
    ),
    vxlanPort: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 65535,
        description: 'UDP port of the pod network between hosts that share no subnet. Default 4789.',
      }),
    ),
    etcdQuotaMegabytes: Type.Optional(
      Type.Integer({
        minimum: 256,
        maximum: 8192,
        description: 'Size at which etcd refuses writes. Default 2048.',
      }),
    ),
    auditLog: Type.Optional(
      Type.Object(
        {
          maxSizeMegabytes: Type.Optional(
            Type.Integer({ minimum: 1, maximum: 1024, description: 'Default 20.' }),
          ),
          maxBackups: Type.Optional(Type.Integer({ minimum: 1, maximum: 100, description: 'Default 3.' })),
        },
        { ...strict, description: 'Bounds of the API server’s audit log.' },
      ),
    ),
  },
  { ...strict, $id: 'EnvironmentOptions' },
);
export type EnvironmentOptions = Static<typeof environmentOptionsSchema>;

/** The options with every default filled in. */
export function withDefaults(options: EnvironmentOptions) {
  return {
    maxPodsPerHost: options.maxPodsPerHost ?? 110,
    nodeCidrMaskSize: options.nodeCidrMaskSize ?? 24,
    vxlanPort: options.vxlanPort ?? 4789,
    etcdQuotaMegabytes: options.etcdQuotaMegabytes ?? 2048,
    auditLog: {
      maxSizeMegabytes: options.auditLog?.maxSizeMegabytes ?? 20,
      maxBackups: options.auditLog?.maxBackups ?? 3,
    },
  };
}
