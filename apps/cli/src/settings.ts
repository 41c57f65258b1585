import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { type Config, loadConfig } from '@rancher/config';
import { Failure, Misuse, messageOf } from './errors.ts';
import { type InstallationPaths, installationPaths } from './paths.ts';

type Variables = Record<string, string | undefined>;

/** What `up` was told, kept so that later commands need no environment variables. */
const kept = [
  'RANCHER_PORT',
  'RANCHER_LISTEN',
  'RANCHER_CACHE',
  'RANCHER_POSTGRES_PORT',
  'RANCHER_ADVERTISE',
  'RANCHER_AGENT_IMAGE',
  'RANCHER_ARTIFACTS_MIRROR',
  'RANCHER_LOG_LEVEL',
  'RANCHER_MASTER_KEY_FILE',
  'RANCHER_SYSTEM_KEY_FILE',
  'DATABASE_URL',
  'REDIS_URL',
] as const;

/** What child processes get of the caller's environment, beside our own variables. */
const passedOn =
  /^(PATH|HOME|LANG|LC_ALL|TZ|TMPDIR|GO[A-Z]+|SSL_CERT_FILE|NODE_EXTRA_CA_CERTS|(https?|no|all)_proxy)$/i;

interface Stored {
  variables?: Record<string, string>;
  /** Set once the environment `default` was asked for: a user who deletes it does not want it back. */
  defaultEnvironment?: { id: string; kubernetesVersion: string };
}

/** Settings of one installation: environment variables first, then `$RANCHER_HOME/config.json`, then defaults. */
export interface Settings {
  config: Config;
  paths: InstallationPaths;
  stored: Stored;
  /** Whether an `up` was ever begun here. */
  exists: boolean;
  /** For child processes: everything they need to come to the same settings. */
  childEnvironment: Record<string, string>;
}

/**
 * @throws Misuse naming each wrong variable.
 */
export function loadSettings(env: Variables): Settings {
  const given = Object.fromEntries(
    Object.entries(env).filter(([, value]) => value !== '' && value !== undefined),
  );
  const home = given.RANCHER_HOME ?? '/var/lib/rancher';
  if (!home.startsWith('/')) throw new Misuse(`RANCHER_HOME is "${home}": it must be an absolute path`);
  const paths = installationPaths(home.replace(/(?<=.)\/+$/, ''));
  const stored = readStored(paths.settings);
  const merged = { ...stored.variables, ...given, RANCHER_HOME: paths.home };
  let config: Config;
  try {
    config = loadConfig(merged);
  } catch (error) {
    throw new Misuse(messageOf(error));
  }
  return {
    config,
    paths,
    stored,
    exists: existsSync(paths.settings),
    childEnvironment: forChildren(merged, config),
  };
}

function forChildren(merged: Variables, config: Config): Record<string, string> {
  const ours = new Set<string>(['RANCHER_HOME', ...kept]);
  const chosen = Object.entries(merged).filter(
    (entry): entry is [string, string] =>
      entry[1] !== undefined && (ours.has(entry[0]) || passedOn.test(entry[0])),
  );
  return {
    ...Object.fromEntries(chosen),
    RANCHER_PORT: String(config.port),
    RANCHER_CACHE: config.cache,
    RANCHER_POSTGRES_PORT: String(config.postgresPort),
  };
}

function readStored(file: string): Stored {
  if (!existsSync(file)) return {};
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Stored;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EACCES') {
      throw new Failure(`not root: ${file} can be read by root alone; run it with sudo`);
    }
    throw new Failure(`${file} cannot be read: ${messageOf(error)}`);
  }
}

/** Keeps the settings in force, and `changes`, for later commands. Only root can read the file: URLs hold passwords. */
export function storeSettings(settings: Settings, changes: Omit<Stored, 'variables'> = {}): Stored {
  const variables = Object.fromEntries(
    kept
      .map((name) => [name, settings.childEnvironment[name]] as const)
      .filter((entry): entry is [(typeof kept)[number], string] => entry[1] !== undefined),
  );
  const next: Stored = { ...readStored(settings.paths.settings), ...changes, variables };
  mkdirSync(dirname(settings.paths.settings), { recursive: true, mode: 0o755 });
  writeFileSync(`${settings.paths.settings}.new`, `${JSON.stringify(next, null, 2)}\n`, { mode: 0o600 });
  renameSync(`${settings.paths.settings}.new`, settings.paths.settings);
  return next;
}
