import type { Health, HostState, InstanceState, ServiceHealth } from './states.ts';

/**
 * What processes on a host may know of its environment (docs/metadata.md). The server builds it field by field: what is not
 * named here cannot get out. It is what agents are sent, and what they keep in `hostPaths.metadata` for programs of the
 * host to read. Nothing in it is secret.
 */
export interface Metadata {
  /** Changes whenever anything else here does. */
  version: string;
  environment: {
    id: string;
    name: string;
    kubernetesVersion: string;
    podCidr: string;
    serviceCidr: string;
  };
  hosts: MetadataHost[];
  stacks: { id: string; name: string; kind: string }[];
  services: MetadataService[];
  instances: MetadataInstance[];
}

export interface MetadataHost {
  id: string;
  name: string;
  /** Null: it has not registered yet. */
  address: string | null;
  state: HostState;
  labels: Record<string, string>;
  cores: number | null;
  memoryBytes: number | null;
}

export interface MetadataService {
  id: string;
  stackId: string;
  name: string;
  version: string;
  /** Null: one on every host. */
  scale: number | null;
  health: ServiceHealth;
  labels: Record<string, string>;
}

export interface MetadataInstance {
  id: string;
  serviceId: string;
  hostId: string;
  state: InstanceState;
  health: Health;
}

/** Where metadata answers on every host: as in Rancher 1.x, and as others do on the neighbouring address. */
export const metadataAddress = '169.254.169.250';
