import { type Static, Type } from 'typebox';

/**
 * The environment variables, with their types, in the order they are documented. The description is the one in
 * docs/configuration.md; `default` there is in words, as some depend on others.
 */
export const variables = Type.Object({
  RANCHER_HOME: Type.String({
    minLength: 1,
    description:
      'Folder of all state of this installation. Two installations live side by side with two of these.',
    default: '/var/lib/rancher',
  }),
  RANCHER_PORT: Type.Integer({
    minimum: 1,
    maximum: 65535,
    description: 'Port that the API listens on, for HTTP (loopback alone) and TLS.',
    default: 8080,
  }),
  RANCHER_LISTEN: Type.String({
    minLength: 1,
    description: 'Addresses that the API listens on, separated by commas.',
    default: '127.0.0.1',
  }),
  RANCHER_CACHE: Type.Optional(
    Type.String({
      minLength: 1,
      description: "Folder of the artifacts' cache. May be shared between installations.",
      default: '`$HOME/.cache/rancher`',
    }),
  ),
  DATABASE_URL: Type.Optional(
    Type.String({
      pattern: '^postgres(ql)?://.+',
      description: 'Postgres 16 or later, as a URL.',
      default: 'the embedded Postgres that `./rancher up` starts',
    }),
  ),
  RANCHER_POSTGRES_PORT: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 65535,
      description:
        'Port of the embedded Postgres, on 127.0.0.1. Without a meaning when `DATABASE_URL` is set.',
      default: '`RANCHER_PORT` + 1',
    }),
  ),
  REDIS_URL: Type.Optional(
    Type.String({
      pattern: '^rediss?://.+',
      description: 'Redis for the job queues (append-only file on, `maxmemory-policy noeviction`).',
      default: 'queues live in Postgres',
    }),
  ),
  RANCHER_MASTER_KEY_FILE: Type.Optional(
    Type.String({
      minLength: 1,
      description:
        'File with the key that secrets are encrypted under at rest. Every API replica needs the same one.',
      default: '`$RANCHER_HOME/master.key`',
    }),
  ),
  RANCHER_SYSTEM_KEY_FILE: Type.Optional(
    Type.String({
      minLength: 1,
      description: 'File with the API key of role `system` that the worker uses against the API.',
      default: '`$RANCHER_HOME/system.key`',
    }),
  ),
  RANCHER_API_URL: Type.Optional(
    Type.String({
      pattern: '^https?://.+',
      description: 'Where the worker finds the API.',
      default: '`http://127.0.0.1:$RANCHER_PORT`',
    }),
  ),
  RANCHER_WORKER_PORT: Type.Integer({
    minimum: 0,
    maximum: 65535,
    description: 'Port on 127.0.0.1 where the worker answers `/livez`, `/readyz` and `/metrics`; 0 for none.',
    default: 0,
  }),
  RANCHER_ADVERTISE: Type.Optional(
    Type.String({
      pattern: '^[^/]+:[0-9]+$',
      description: 'Address, as `host:port`, that agents and kubeconfigs use to reach the API.',
      default: 'the first address of `RANCHER_LISTEN`, with `RANCHER_PORT`',
    }),
  ),
  RANCHER_AGENT_IMAGE: Type.String({
    minLength: 1,
    description: 'Image of the agent, in the command that joins a container as a host.',
    default: 'rancher-agent',
  }),
  RANCHER_ARTIFACTS_MIRROR: Type.Optional(
    Type.String({
      pattern: '^https?://.+',
      description: "Mirror asked for artifacts before the projects' own downloads.",
      default: 'none',
    }),
  ),
  RANCHER_LOG_LEVEL: Type.Union(
    (['fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const).map((level) => Type.Literal(level)),
    { description: 'Least severe level that is logged.', default: 'info' },
  ),
  RANCHER_LOG_FILE: Type.Optional(
    Type.String({
      minLength: 1,
      description: 'File that logs go to, rotated at 10 MB, three kept.',
      default: 'standard output',
    }),
  ),
  RANCHER_REPLICA_ID: Type.Optional(
    Type.String({
      pattern: '^[A-Za-z0-9._-]{1,63}$',
      description: 'Name of this replica of the API or worker, unique among those that run.',
      default: 'random at each start',
    }),
  ),
});
export type Variables = Static<typeof variables>;
export type VariableName = keyof typeof variables.properties;

/** What the schemas above carry besides the type, as JSON Schema keywords. */
export interface VariableSchema {
  description: string;
  default: string | number;
  type?: string;
  minimum?: number;
  maximum?: number;
  pattern?: string;
  anyOf?: { const: string }[];
}

/** Each variable with its schema; `required` ones have a literal default, of the others it is said in words. */
export const variableEntries = Object.entries(variables.properties).map(([name, schema]) => ({
  name: name as VariableName,
  schema: schema as unknown as VariableSchema,
  required: (variables.required as readonly string[]).includes(name),
}));
