/**
 * Events tell the story in words: what failed, how it was noticed, what was done, how long it took. `reason` is for
 * programs, `message` for people.
 */
export const eventReasons = [
  'EnvironmentCreated',
  'EnvironmentActive',
  'EnvironmentUpdated',
  'EnvironmentDeactivated',
  'EnvironmentRemoving',
  'EnvironmentRemoved',
  'HostRegistered',
  'HostRejoined',
  'HostLeft',
  'HostMoved',
  'HostIdentityReplaced',
  'HostIdentityShared',
  'HostConnected',
  'HostReconnecting',
  'HostDisconnected',
  'HostRemoved',
  'HostPoweredOff',
  'HostPoweredOn',
  'HostReachedByPeers',
  'HostNotReached',
  'HostCordoned',
  'HostUncordoned',
  'HostDrained',
  'PodEvictionBlocked',
  'PlanMade',
  'InstanceCreated',
  'InstanceHealthy',
  'InstanceExited',
  'InstanceUnhealthy',
  'InstanceReplaced',
  'InstanceRestartedByAgent',
  'InstanceRemoved',
  'BackingOff',
  'PlanBlocked',
  'BrakeOn',
  'BrakeOff',
  'BrakeReleased',
  'ApiServerUnreachable',
  'ApiServerReady',
  'EtcdAlarm',
  'EtcdMemberAdded',
  'EtcdMemberPromoted',
  'EtcdMemberRemoved',
  'EtcdQuorumLost',
  'EtcdRecovered',
  'NodeNotReady',
  'NodeReady',
  'ObjectsApplied',
  'ArtifactFetched',
  'ArtifactRefused',
  'DiskFull',
  'DiskFreed',
  'CertificateRenewed',
  'ApiKeyCreated',
  'ApiKeyRevoked',
  'RegistrationTokenCreated',
  'RegistrationTokenRevoked',
  'OperationStarted',
  'OperationFinished',
] as const;
export type EventReason = (typeof eventReasons)[number];

export interface EventInput {
  environmentId: string | null;
  hostId?: string | null;
  /** What it is about, such as `{kind: 'Instance', id, name}`. */
  regarding: { kind: string; id: string; name?: string };
  type: 'Normal' | 'Warning';
  reason: EventReason;
  message: string;
  /** Figures for programs, such as `{ durationMs: 812 }`. Never a secret. */
  data?: Record<string, unknown>;
}
