import { randomBytes } from 'node:crypto';
import { isIP } from 'node:net';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { Value } from 'typebox/value';
import { type VariableSchema, type Variables, variableEntries, variables } from './variables.ts';

/** What the environment variables say, parsed and completed; docs/configuration.md describes each. */
export interface Config {
  home: string;
  port: number;
  listen: string[];
  cache: string;
  /** Undefined: the embedded Postgres. */
  databaseUrl: string | undefined;
  /** Port of the embedded Postgres. */
  postgresPort: number;
  /** Undefined: queues live in Postgres. */
  redisUrl: string | undefined;
  masterKeyFile: string;
  systemKeyFile: string;
  apiUrl: string;
  /** Port of the worker's own health and metrics on loopback; 0 = none. */
  workerPort: number;
  /** `host:port` that agents and kubeconfigs use. */
  advertise: string;
  /** Image of the agent, for hosts that are containers. */
  agentImage: string;
  artifactsMirror: string | undefined;
  logLevel: Variables['RANCHER_LOG_LEVEL'];
  logFile: string | undefined;
  replicaId: string;
}

/**
 * Parses the environment variables. The one place that reads `process.env`.
 * @throws Error that names each wrong variable and what it must be. Values are not repeated: they may hold passwords.
 */
export function loadConfig(env: Record<string, string | undefined> = process.env): Config {
  const values = parse(env);
  const home = resolve(values.RANCHER_HOME);
  const port = values.RANCHER_PORT;
  const listen = addresses(values);
  return {
    home,
    port,
    listen,
    cache: resolve(values.RANCHER_CACHE ?? join(env.HOME ?? homedir(), '.cache', 'rancher')),
    databaseUrl: values.DATABASE_URL,
    postgresPort: values.RANCHER_POSTGRES_PORT ?? port + 1,
    redisUrl: values.REDIS_URL,
    masterKeyFile: values.RANCHER_MASTER_KEY_FILE ?? join(home, 'master.key'),
    systemKeyFile: values.RANCHER_SYSTEM_KEY_FILE ?? join(home, 'system.key'),
    apiUrl: values.RANCHER_API_URL ?? `http://127.0.0.1:${port}`,
    workerPort: values.RANCHER_WORKER_PORT,
    advertise: values.RANCHER_ADVERTISE ?? `${dialable(listen[0] ?? '')}:${port}`,
    agentImage: values.RANCHER_AGENT_IMAGE,
    artifactsMirror: values.RANCHER_ARTIFACTS_MIRROR,
    logLevel: values.RANCHER_LOG_LEVEL,
    logFile: values.RANCHER_LOG_FILE,
    replicaId: values.RANCHER_REPLICA_ID ?? randomBytes(4).toString('hex'),
  };
}

function parse(env: Record<string, string | undefined>): Variables {
  const given: Record<string, unknown> = {};
  const wrong: string[] = [];
  for (const { name, schema, required } of variableEntries) {
    // An empty variable counts as unset, as Docker Compose passes unset ones on as empty.
    const text = env[name] === '' ? undefined : env[name];
    if (text === undefined && !required) continue;
    given[name] = text === undefined ? schema.default : typed(schema, text);
    if (!Value.Check(variables.properties[name], given[name])) wrong.push(`${name} ${demand(schema)}`);
  }
  if (wrong.length === 0) wrong.push(...contradictions(Value.Parse(variables, given)));
  if (wrong.length > 0) throw new Error(wrong.join('\n'));
  return Value.Parse(variables, given);
}

/** Numbers as numbers; what is none stays text, and fails the check. */
function typed(schema: VariableSchema, text: string): string | number {
  return schema.type === 'integer' && /^\d+$/.test(text) ? Number(text) : text;
}

/** What the types of single variables cannot say. */
function contradictions(values: Variables): string[] {
  const wrong: string[] = [];
  if (!addresses(values).every(isIP)) wrong.push('RANCHER_LISTEN must be IP addresses separated by commas');
  if (values.RANCHER_PORT === 65535 && values.RANCHER_POSTGRES_PORT === undefined) {
    wrong.push('RANCHER_POSTGRES_PORT must be set: RANCHER_PORT + 1 is no port');
  }
  return wrong;
}

function addresses(values: Variables): string[] {
  return values.RANCHER_LISTEN.split(',').map((address) => address.trim());
}

/** What a value must be, in words. */
function demand(schema: VariableSchema): string {
  if (schema.anyOf !== undefined) return `must be one of ${schema.anyOf.map((s) => s.const).join(', ')}`;
  if (schema.pattern !== undefined) return `must match ${schema.pattern}`;
  if (schema.type === 'integer') return `must be a whole number from ${schema.minimum} to ${schema.maximum}`;
  return 'must not be empty';
}

/** Where the API can be dialled when it listens on `address`: loopback for a wildcard, brackets for IPv6. */
function dialable(address: string): string {
  if (address === '0.0.0.0' || address === '::') return '127.0.0.1';
  return address.includes(':') ? `[${address}]` : address;
}
