export * from './cgroups/cgroups.ts';
export * from './create-runtime.ts';
export * from './process/log-file.ts';
export * from './process/proc.ts';
export * from './runtime.ts';
export { SimulatedRuntime } from './simulated/simulated-runtime.ts';
