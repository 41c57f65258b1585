import { SimulatedRuntime } from '@rancher/runtimes';
import { Agent } from './agent.ts';
import { type AgentConfig, parseConfig } from './config.ts';
import { silentLog } from './log.ts';
import type { Preparer } from './prepare/prepare.ts';

/** Writes nothing, asks for nothing. */
const nothing: Preparer = {
  prepare: async () => ({ certificates: [] }),
  renewCertificates: async () => [],
};

/**
 * An agent that is real on the wire and runs nothing, for tests of the engine at scale: many fit into one process.
 * `fail` ends an instance as a crash would. `config` is what a configuration file holds; its runtime must be `simulated`.
 */
export function createSimulatedAgent(config: object): {
  agent: Agent;
  fail: (instanceId: string) => boolean;
} {
  const parsed: AgentConfig = parseConfig(config);
  const runtime = new SimulatedRuntime(parsed.runtime);
  const labels = { ...parsed.labels, 'io.rancher.host.runtime': 'simulated' };
  const agent = new Agent({ ...parsed, labels }, { log: silentLog, runtime, preparer: nothing });
  return { agent, fail: (id) => runtime.fail(id) };
}
