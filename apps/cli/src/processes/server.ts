import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundled, root } from '../paths.ts';
import type { Settings } from '../settings.ts';
import type { KeptProcess } from './kept.ts';

export type ServerProcessName = 'postgres' | 'api' | 'worker' | 'agent';

/** In the order they start; they stop in the reverse. */
export const serverProcessNames: ServerProcessName[] = ['postgres', 'api', 'worker', 'agent'];

const sources = {
  postgres: 'packages/db/src/embedded-main.ts',
  api: 'apps/api/src/server.ts',
  worker: 'apps/worker/src/main.ts',
  agent: 'apps/agent/src/main.ts',
};
const bundles = {
  postgres: 'apps/cli/dist/postgres.js',
  api: 'apps/api/dist/main.js',
  worker: 'apps/worker/dist/main.js',
  agent: 'apps/agent/dist/main.js',
};

/** The program file of a server process: bundled as this CLI is, or its sources. */
export function program(name: ServerProcessName): string {
  return join(root, (bundled ? bundles : sources)[name]);
}

/**
 * These processes idle most of the time: a small young generation is given back sooner than one that grew in a burst, and
 * the lower the limit, the sooner V8 collects. Measured for the API, ready and idle: 220 MB → 144 MB.
 */
const nodeFlags = [
  '--disable-warning=ExperimentalWarning',
  '--max-semi-space-size=2',
  '--max-old-space-size=1024',
];
/** One arena of malloc for all threads: memory that one freed is there for the others. */
const frugal = { MALLOC_ARENA_MAX: '1' };

/** What runs as one of the server's processes, with `args` after the program and `env` beside the settings. */
export function serverProcess(
  settings: Settings,
  name: ServerProcessName,
  options: { args?: string[]; env?: Record<string, string> } = {},
): KeptProcess {
  const file = program(name);
  return {
    name,
    command: [process.execPath, ...nodeFlags, file, ...(options.args ?? [])],
    env: { ...settings.childEnvironment, ...frugal, NODE_ENV: 'production', ...options.env },
    build: bundled ? buildOf(file) : '',
  };
}

/** By content: main.js names its chunks by theirs, so a build that changed nothing restarts nothing. */
function buildOf(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex');
}
