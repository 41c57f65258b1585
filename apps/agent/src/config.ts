import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { type HostKind, hostKinds, hostPaths } from '@rancher/domain';
import { type RuntimeName, runtimeNames } from '@rancher/runtimes';
import { readIfPresent } from './files.ts';

/** What an agent is told by its configuration file (JSON). */
export interface AgentConfig {
  kind: HostKind;
  name: string;
  labels: Record<string, string>;
  /** Any of them will do. */
  serverUrls: string[];
  /** SHA-256 (hex, of the DER) of the server's certificate or of the authority that signed it. Absent: the system's roots. */
  caSha256?: string;
  /** Registration token, used while there is no credential. */
  token?: string;
  /** Read afresh at each try to join. */
  tokenFile?: string;
  /** Credential and last slice. */
  stateDir: string;
  /** A file for each run; on a file system that a reboot empties. */
  runDir: string;
  /** Log of the agent itself; absent: standard error. */
  logFile?: string;
  /** Artifacts that are on this machine already, looked for before the server is asked. */
  artifactsDir?: string;
  /** The address other hosts reach this one at; absent: the source address of the default route. */
  address?: string;
  /** The host's own cgroup below every controller's root; see {@link defaultCgroup}. */
  cgroup: string;
  runtime: RuntimeName;
  /** Present: this agent makes local hosts. */
  localHosts?: { home: string; subnet?: string };
}

/**
 * Reads and checks a configuration file.
 * @throws Error naming the file and what is wrong with which field. Values are not repeated: they may be secret.
 */
export function readConfig(path: string): AgentConfig {
  let parsed: unknown;
  try {
    parsed = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new Error(`${path}: ${error instanceof SyntaxError ? 'not JSON' : (error as Error).message}`);
  }
  try {
    return parseConfig(parsed);
  } catch (error) {
    throw new Error(`${path}: ${(error as Error).message}`);
  }
}

const fields = [
  'kind',
  'name',
  'labels',
  'serverUrl',
  'caSha256',
  'token',
  'tokenFile',
  'stateDir',
  'runDir',
  'logFile',
  'artifactsDir',
  'address',
  'cgroup',
  'runtime',
  'localHosts',
];

/** @throws Error that says what is wrong. */
export function parseConfig(value: unknown): AgentConfig {
  if (!isRecord(value)) throw new Error('must be an object');
  const unknown = Object.keys(value).filter((key) => !fields.includes(key));
  if (unknown.length > 0) throw new Error(`unknown field ${unknown.join(', ')}`);
  const caSha256 = text(value, 'caSha256')?.toLowerCase().replaceAll(':', '');
  if (caSha256 !== undefined && !/^[0-9a-f]{64}$/.test(caSha256)) {
    throw new Error('caSha256 must be 64 hex digits');
  }
  return {
    kind: oneOf(value, 'kind', hostKinds) ?? 'machine',
    name: text(value, 'name') ?? hostname(),
    labels: labels(value.labels),
    serverUrls: serverUrls(value.serverUrl),
    stateDir: text(value, 'stateDir') ?? hostPaths.agent,
    runDir: text(value, 'runDir') ?? '/run/rancher-agent',
    cgroup: text(value, 'cgroup') ?? defaultCgroup(readIfPresent('/proc/1/cgroup') ?? ''),
    runtime: oneOf(value, 'runtime', runtimeNames) ?? 'process',
    ...optional('caSha256', caSha256),
    ...optional('token', text(value, 'token')),
    ...optional('tokenFile', text(value, 'tokenFile')),
    ...optional('logFile', text(value, 'logFile')),
    ...optional('artifactsDir', text(value, 'artifactsDir')),
    ...optional('address', text(value, 'address')),
    ...optional('localHosts', localHosts(value.localHosts)),
  };
}

/**
 * Below the cgroup that the machine's first process is in, so that a machine which is a container stays within its own
 * limits; `/rancher` on a whole machine, where that process is in the root, or in systemd's leaf of it.
 * @param cgroup /proc/1/cgroup (cgroups(7))
 */
export function defaultCgroup(cgroup: string): string {
  const lines = cgroup.split('\n').filter((line) => line !== '');
  // The unified hierarchy beside those of v1 has no controllers.
  const v1 = lines.filter((line) => !line.startsWith('0::'));
  const paths = (v1.length > 0 ? v1 : lines).map((line) => line.split(':').slice(2).join(':'));
  const first = paths[0] ?? '/';
  // On v1 each controller may have it elsewhere; only one answer is one.
  if (paths.some((path) => path !== first) || !/^\/[\w.@:-]/.test(first)) return '/rancher';
  return `${first.replace(/\/init(\.scope)?$/, '')}/rancher`;
}

function localHosts(value: unknown): AgentConfig['localHosts'] {
  if (value === undefined) return undefined;
  if (!isRecord(value)) throw new Error('localHosts must be an object');
  const home = text(value, 'home');
  if (home === undefined) throw new Error('localHosts.home is missing');
  return { home, ...optional('subnet', text(value, 'subnet')) };
}

function serverUrls(value: unknown): string[] {
  const urls = Array.isArray(value) ? value : [value];
  if (urls.length === 0) throw new Error('serverUrl is missing');
  return urls.map((url) => {
    if (typeof url !== 'string' || !/^https?:\/\//.test(url) || !URL.canParse(url)) {
      throw new Error('serverUrl must be an http(s) URL, or a list of them');
    }
    return url;
  });
}

function labels(value: unknown): Record<string, string> {
  if (value === undefined) return {};
  if (!isRecord(value) || !Object.values(value).every((v) => typeof v === 'string')) {
    throw new Error('labels must be an object of strings');
  }
  return value as Record<string, string>;
}

function text(value: Record<string, unknown>, field: string): string | undefined {
  const v = value[field];
  if (v === undefined || (typeof v === 'string' && v !== '')) return v;
  throw new Error(`${field} must be text`);
}

function oneOf<T extends string>(
  value: Record<string, unknown>,
  field: string,
  allowed: readonly T[],
): T | undefined {
  const v = text(value, field);
  if (v === undefined || allowed.includes(v as T)) return v as T | undefined;
  throw new Error(`${field} must be one of ${allowed.join(', ')}`);
}

function optional<K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } {
  return value === undefined ? {} : ({ [key]: value } as { [P in K]?: V });
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
