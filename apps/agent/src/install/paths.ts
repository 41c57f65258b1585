import { join } from 'node:path';
import { hostPaths } from '@rancher/domain';

/** Where an installed agent has its parts. `hostPaths.agent` is a link where another folder was chosen. */
export const installed = {
  config: join(hostPaths.agent, 'config.json'),
  program: join(hostPaths.agent, 'program'),
  log: '/var/log/rancher-agent.log',
  run: '/run/rancher-agent',
} as const;

const node = join(installed.program, 'node');

/** The command line of the agent; it is small, so it gets no heap for threads that hardly allocate. */
export const agentCommand = [
  node,
  '--max-semi-space-size=1',
  join(installed.program, 'agent.mjs'),
  'run',
  '--config',
  installed.config,
];
export const agentEnvironment = { MALLOC_ARENA_MAX: '1', UV_THREADPOOL_SIZE: '2' };

/** Exit code (sysexits.h, EX_CONFIG) of an agent that will not run however often it is started: the host was removed. */
export const exitForGood = 78;
