import type { SimulatedRuntime } from '@rancher/runtimes';
import { Agent } from './agent.ts';
import { parseConfig } from './config.ts';
import { silentLog } from './log.ts';
import type { Preparer } from './prepare/prepare.ts';

/** Writes nothing, asks for nothing. */
const nothing: Preparer = {
  prepare: async () => ({ certificates: [] }),
  seed: async () => undefined,
  renewCertificates: async () => [],
};

/**
 * An agent that is real on the wire and runs nothing, for tests of the engine at scale: many fit into one process.
 * `config` is what a configuration file holds; `runtime` ends an instance as a crash would with its `fail`.
 */
export function createSimulatedAgent(config: object, runtime: SimulatedRuntime): Agent {
  const parsed = parseConfig({ ...config, runtime: runtime.name });
  return new Agent(parsed, { log: silentLog, runtime, preparer: nothing });
}
