import { existsSync, readFileSync } from 'node:fs';
import { Client } from './client.ts';
import { Failure, messageOf } from './errors.ts';
import { type Output, standardOutput } from './output.ts';
import { loadSettings, type Settings } from './settings.ts';

/** What a command works with. */
export interface Context {
  settings: Settings;
  output: Output;
  client: Client;
  /** Fires on Ctrl-C and SIGTERM. */
  signal: AbortSignal;
}

/** @throws Misuse when an environment variable is wrong. */
export function createContext(env: NodeJS.ProcessEnv): Context {
  const settings = loadSettings(env);
  const interrupted = new AbortController();
  process.once('SIGINT', () => interrupted.abort());
  process.once('SIGTERM', () => interrupted.abort());
  let client: Client | undefined;
  return {
    settings,
    output: standardOutput(),
    // Made on first use: only then the key has to be there.
    get client() {
      client ??= openClient(settings);
      return client;
    },
    signal: interrupted.signal,
  };
}

/** The client of this machine's installation, with its admin key. */
export function openClient(settings: Settings): Client {
  const file = settings.paths.adminKey;
  if (!existsSync(file)) {
    throw new Failure(
      `${file} is not there: start the server with ./rancher up, or set RANCHER_HOME to where it is`,
    );
  }
  try {
    return new Client(settings.config.apiUrl, readFileSync(file, 'utf8').trim());
  } catch (error) {
    throw new Failure(`${file} cannot be read (${messageOf(error)}): run it as root`);
  }
}
