import type { Metadata } from '@rancher/domain';
import { expect, it } from 'vitest';
import { ownNames } from './own-names.ts';

const host = (id: string, address: string | null) => ({
  id,
  name: id,
  address,
  state: 'active' as const,
  labels: {},
  cores: 1,
  memoryBytes: 1,
});
const service = (name: string) => ({
  id: `service-${name}`,
  stackId: 'stack',
  name,
  version: '1',
  scale: null,
  health: 'healthy' as const,
  labels: {},
});
type Instance = Metadata['instances'][number];
const instance = (name: string, hostId: string, more: Partial<Instance> = {}): Instance => ({
  id: `${name}-${hostId}`,
  serviceId: `service-${name}`,
  hostId,
  state: 'running',
  health: 'healthy',
  ...more,
});

it('are the addresses of hosts that run a healthy instance', () => {
  const metadata: Metadata = {
    version: '1',
    environment: { id: 'e', name: 'e', kubernetesVersion: '1', podCidr: '', serviceCidr: '' },
    hosts: [host('a', '10.0.0.1'), host('b', '10.0.0.2'), host('c', '10.0.0.3'), host('d', null)],
    stacks: [{ id: 'stack', name: 'Kubernetes', kind: 'system' }],
    services: [service('etcd'), service('dns')],
    instances: [
      instance('etcd', 'a'),
      instance('etcd', 'b', { health: 'unhealthy' }),
      instance('etcd', 'c', { state: 'unknown' }),
      instance('etcd', 'd'),
    ],
  };
  expect([...ownNames(metadata, 'rancher.internal')]).toEqual([
    ['etcd.kubernetes.rancher.internal', ['10.0.0.1']],
    ['dns.kubernetes.rancher.internal', []],
  ]);
});
