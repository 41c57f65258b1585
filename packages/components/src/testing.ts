import type { HostFacts } from '@rancher/domain';
import type { ComponentContext } from './component.ts';
import { etcdPeerUrl } from './etcd/index.ts';

/** Facts of a machine as most users have it: cgroup v2 with systemd. */
export const modernFacts: HostFacts = {
  agentVersion: '0.1.0',
  agentPid: 1000,
  hostname: 'node-1',
  address: '10.0.0.11',
  os: 'Ubuntu 24.04',
  arch: 'amd64',
  kernel: '6.8.0',
  cores: 4,
  memoryBytes: 16_000_000_000,
  diskBytes: 100_000_000_000,
  diskFreeBytes: 50_000_000_000,
  cgroupVersion: 2,
  cgroupDriver: 'systemd',
  cgroupRoot: '/system.slice/rancher-agent.service',
  nftables: true,
  iptables: true,
  sysResource: true,
  localHosts: true,
  nameservers: ['10.0.0.2'],
};

/** Facts of a local host on a machine without systemd: cgroup v1, no CAP_SYS_RESOURCE, no iptables. */
export const bareFacts: HostFacts = {
  ...modernFacts,
  cgroupVersion: 1,
  cgroupDriver: 'cgroupfs',
  cgroupRoot: '/rancher/default-1',
  iptables: false,
  sysResource: false,
  nameservers: [],
};

/** A context of one host that runs everything. */
export function contextOf(facts: HostFacts, overrides: Partial<ComponentContext> = {}): ComponentContext {
  const peer = { name: 'node-1', address: facts.address };
  return {
    environment: {
      id: 'env_0123456789abcdef',
      name: 'default',
      kubernetesVersion: '1.37.2',
      podCidr: '10.42.0.0/16',
      serviceCidr: '10.43.0.0/16',
      controlPlaneReplicas: 1,
      options: {},
      etcdRecovery: null,
    },
    host: { id: 'host_0123456789abcdef', ...peer, labels: { disk: 'ssd' }, facts },
    etcd: [peer],
    holdsEtcd: true,
    etcdMember: {
      dataDir: '/var/lib/etcd/etm_0123456789abcdef',
      initialCluster: `${peer.name}=${etcdPeerUrl(peer.address)}`,
      initialClusterState: 'new',
      recoveredFrom: null,
    },
    apiServers: [peer],
    ...overrides,
  };
}
