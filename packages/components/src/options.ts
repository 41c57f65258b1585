import { type PlaneMode, planeModes } from '@rancher/domain';
import { type Static, Type } from 'typebox';

const strict = { additionalProperties: false } as const;

const octet = '(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])';
const nameserver = Type.String({
  pattern: `^(${octet}\\.){3}${octet}(:[1-9][0-9]{0,4})?$`,
  description: 'An IPv4 address, with a port where it is not 53.',
});
const seconds = (minimum: number, description: string) =>
  Type.Integer({ minimum, maximum: 604_800, description });

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
    dns: Type.Optional(
      Type.Object(
        {
          nameservers: Type.Optional(
            Type.Array(nameserver, {
              maxItems: 8,
              description: 'Servers for names outside of the cluster. Default: those of each host.',
            }),
          ),
          stubDomains: Type.Optional(
            Type.Record(
              Type.String({ pattern: '^[A-Za-z0-9_-]{1,63}(\\.[A-Za-z0-9_-]{1,63})*$' }),
              Type.Array(nameserver, { minItems: 1, maxItems: 8 }),
              { ...strict, description: 'Domain → the servers that know its names.' },
            ),
          ),
        },
        { ...strict, description: 'Names outside of the cluster.' },
      ),
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
    hosts: Type.Optional(
      Type.Object(
        {
          reconnectingAfterSeconds: Type.Optional(
            seconds(12, 'Silence after which a host counts as reconnecting. Default 15.'),
          ),
          disconnectedAfterSeconds: Type.Optional(
            seconds(
              15,
              'Silence after which a host counts as lost, and its instances as unknown. Default 40.',
            ),
          ),
          replaceAfterSeconds: Type.Optional(
            seconds(15, 'Silence after which what a lost host ran is started elsewhere. Default 3600.'),
          ),
          replaceEtcdAfterSeconds: Type.Optional(
            seconds(15, 'Silence after which a lost member of etcd is replaced. Default 300.'),
          ),
        },
        { ...strict, description: 'How long hosts may be silent.' },
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
    hosts: {
      reconnectingAfterSeconds: options.hosts?.reconnectingAfterSeconds ?? 15,
      disconnectedAfterSeconds: options.hosts?.disconnectedAfterSeconds ?? 40,
      replaceAfterSeconds: options.hosts?.replaceAfterSeconds ?? 3600,
      replaceEtcdAfterSeconds: options.hosts?.replaceEtcdAfterSeconds ?? 300,
    },
  };
}
