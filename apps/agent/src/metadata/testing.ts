import type { Metadata } from '@rancher/domain';

/** An environment of two hosts: etcd on the first, a kubelet on both. */
export const metadata: Metadata = {
  version: 'v1',
  environment: {
    id: 'env_1',
    name: 'default',
    kubernetesVersion: '1.37.2',
    podCidr: '10.42.0.0/16',
    serviceCidr: '10.43.0.0/16',
  },
  hosts: [1, 2].map((n) => ({
    id: `host_${n}`,
    name: `default-${n}`,
    address: `172.30.0.${n}`,
    state: 'active',
    labels: n === 1 ? { etcd: 'true', 'example.com/disk': 'ssd' } : {},
    cores: 2,
    memoryBytes: 8_000_000_000,
  })),
  stacks: [{ id: 'stk_1', name: 'kubernetes', kind: 'system' }],
  services: [
    {
      id: 'svc_etcd',
      stackId: 'stk_1',
      name: 'etcd',
      version: '3.7.3',
      scale: 1,
      health: 'healthy',
      labels: { app: 'store' },
    },
    {
      id: 'svc_kubelet',
      stackId: 'stk_1',
      name: 'kubelet',
      version: '1.37.2',
      scale: null,
      health: 'healthy',
      labels: {},
    },
  ],
  instances: [
    { id: 'ins_1', serviceId: 'svc_etcd', hostId: 'host_1', state: 'running', health: 'healthy' },
    { id: 'ins_2', serviceId: 'svc_kubelet', hostId: 'host_1', state: 'running', health: 'healthy' },
    { id: 'ins_3', serviceId: 'svc_kubelet', hostId: 'host_2', state: 'starting', health: 'initializing' },
  ],
};
