/** The states of each kind: what the server says of a resource, computed from what runs, never copied from a wish. */

export const environmentStates = [
  'activating',
  'active',
  'updating',
  'deactivating',
  'inactive',
  'removing',
  'removed',
] as const;
export type EnvironmentState = (typeof environmentStates)[number];

/** What a user wants of an environment. */
export const environmentDesiredStates = ['active', 'inactive', 'removed'] as const;
export type EnvironmentDesiredState = (typeof environmentDesiredStates)[number];

export const hostStates = [
  'registering',
  'active',
  'reconnecting',
  'disconnected',
  'removing',
  'removed',
] as const;
export type HostState = (typeof hostStates)[number];

/** `machine`: a Linux machine with the agent. `local`: made by a machine's agent on that machine. */
export const hostKinds = ['machine', 'local'] as const;
export type HostKind = (typeof hostKinds)[number];

/** The network of a machine that local hosts are on unless they are told another. */
export const defaultHostNetwork = 'default';

/** What a local host's power switch says. Off, nothing of it runs, and its disk stays. */
export const hostPowers = ['on', 'off'] as const;
export type HostPower = (typeof hostPowers)[number];

/**
 * An instance is one run of a service on a host; it is replaced, never reused.
 * pending → starting → running → (stopping →) exited → removed; `unknown` while its host cannot be seen.
 */
export const instanceStates = [
  'pending',
  'starting',
  'running',
  'stopping',
  'exited',
  'unknown',
  'removed',
] as const;
export type InstanceState = (typeof instanceStates)[number];

export const healths = ['initializing', 'healthy', 'unhealthy', 'unknown'] as const;
export type Health = (typeof healths)[number];

export const serviceHealths = ['initializing', 'healthy', 'degraded', 'unhealthy'] as const;
export type ServiceHealth = (typeof serviceHealths)[number];

export const operationStates = ['pending', 'running', 'succeeded', 'failed', 'canceled'] as const;
export type OperationState = (typeof operationStates)[number];

/**
 * Health of a service from its instances, as in Rancher 1.x: all expected healthy → healthy; else any initializing →
 * initializing; else any healthy → degraded; else unhealthy.
 */
export function serviceHealth(expected: number, instances: readonly Health[]): ServiceHealth {
  const healthy = instances.filter((h) => h === 'healthy').length;
  if (healthy >= expected) return 'healthy';
  if (instances.length < expected || instances.includes('initializing')) return 'initializing';
  return healthy > 0 ? 'degraded' : 'unhealthy';
}

/** Health of a stack or an environment: the worst of its services, in the same order of precedence. */
export function aggregateHealth(healths: readonly ServiceHealth[]): ServiceHealth {
  if (healths.every((h) => h === 'healthy')) return 'healthy';
  if (healths.includes('initializing')) return 'initializing';
  if (healths.some((h) => h === 'healthy' || h === 'degraded')) return 'degraded';
  return 'unhealthy';
}
