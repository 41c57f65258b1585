import { ProcessRuntime } from './process/process-runtime.ts';
import type { Runtime, RuntimeName } from './runtime.ts';
import { SimulatedRuntime } from './simulated/simulated-runtime.ts';

/** Makes the adapter of that name. `recordDir` holds one small file for each run; best on a file system that a reboot empties. */
export function createRuntime(name: RuntimeName, options: { recordDir: string }): Runtime {
  return name === 'simulated' ? new SimulatedRuntime(name) : new ProcessRuntime(options.recordDir);
}
