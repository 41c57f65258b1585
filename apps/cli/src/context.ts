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
  let client: Client | undefined;
  let signal: AbortSignal | undefined;
  return {
    settings,
    output: standardOutput(),
    // Made on first use: only then the key has to be there.
    get client() {
      client ??= openClient(settings);
      return client;
    },
    // On first use too: a command that does not ask for it ends by Ctrl-C as any program does.
    get signal() {
      signal ??= interruption();
      return signal;
    },
  };
}

function interruption(): AbortSignal {
  const interrupted = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => interrupted.abort());
  return interrupted.signal;
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
