import type { ArtifactRef, HostFacts, InstanceSpec } from '@rancher/domain';
import type { EnvironmentOptions } from './options.ts';

/** Which hosts run it: every host, those of the control plane, or those that hold etcd. */
export type Placement = 'all' | 'control-plane' | 'etcd';

/**
 * A component of the system stack. Its room holds everything about it (flags, ports, files, certificates, health check,
 * differences between versions) and gives data; nobody outside knows a flag of it.
 */
export interface Component {
  name: string;
  placement: Placement;
  /** Components on the same host that must be healthy before the first start. */
  after: readonly string[];
  /** TCP ports that it listens on, on its host: what a machine must have free before it joins. */
  ports: readonly number[];
  /** Version of the program for a Kubernetes version. */
  version(kubernetesVersion: string): string;
  artifacts(kubernetesVersion: string): ArtifactRef[];
  /** Pure: the same context gives the same spec, byte for byte. */
  spec(ctx: ComponentContext): InstanceSpec;
}

/** What a room may know: intent and facts, nothing of what runs. */
export interface ComponentContext {
  environment: EnvironmentContext;
  host: {
    id: string;
    name: string;
    /** The address that other hosts reach it at. */
    address: string;
    labels: Record<string, string>;
    facts: HostFacts;
  };
  /** Members of etcd that vote. */
  etcd: readonly Peer[];
  /** Whether this host holds a member of etcd, or is to. */
  holdsEtcd: boolean;
  /** This host's member; null where it has none, or is not one yet. */
  etcdMember: EtcdMember | null;
  /** Hosts that run the API server, this host perhaps among them. */
  apiServers: readonly Peer[];
}

/** What a member of etcd starts with. Of use at its first start only, but the same at every one. */
export interface EtcdMember {
  dataDir: string;
  initialCluster: string;
  initialClusterState: 'new' | 'existing';
  /** The data folder of the member that its own data is made from, once; null where it begins with none. */
  recoveredFrom: string | null;
}

export interface EnvironmentContext {
  id: string;
  name: string;
  kubernetesVersion: string;
  podCidr: string;
  serviceCidr: string;
  /** Hosts that are to run the control plane. */
  controlPlaneReplicas: number;
  options: EnvironmentOptions;
  /** The last recovery of its etcd, or null. */
  etcdRecovery: string | null;
}

export interface Peer {
  name: string;
  address: string;
}
