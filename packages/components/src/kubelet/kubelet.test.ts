import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { bareFacts, contextOf, modernFacts } from '../testing.ts';
import { kubelet } from './index.ts';
import { nodeLabels } from './labels.ts';

function configurationOf(facts: typeof modernFacts) {
  const spec = kubelet.spec(contextOf(facts));
  const file = spec.files.find((f) => f.path.endsWith('config.yaml'));
  return { spec, configuration: parse(file?.content ?? '') as Record<string, unknown> };
}

describe('kubelet’s cgroups', () => {
  it('are systemd’s own where systemd runs', () => {
    const { spec, configuration } = configurationOf(modernFacts);
    expect(configuration).toMatchObject({ cgroupDriver: 'systemd' });
    expect(configuration).not.toHaveProperty('cgroupRoot');
    expect(configuration).not.toHaveProperty('failCgroupV1');
    expect(spec.cgroups).toEqual([]);
  });

  it('are below the host’s on cgroup v1 without systemd, made before the start', () => {
    const { spec, configuration } = configurationOf(bareFacts);
    expect(configuration).toMatchObject({
      cgroupDriver: 'cgroupfs',
      cgroupRoot: '/rancher/default-1/pods',
      failCgroupV1: false,
    });
    expect(spec.cgroups).toEqual(['pods']);
  });

  it('are below the host’s on cgroup v2 without systemd', () => {
    const { configuration } = configurationOf({ ...bareFacts, cgroupVersion: 2 });
    expect(configuration).toMatchObject({ cgroupRoot: '/rancher/default-1/pods' });
    expect(configuration).not.toHaveProperty('failCgroupV1');
  });
});

describe('kubelet’s access', () => {
  it('is by webhook alone, with no anonymous caller and no read-only port', () => {
    expect(configurationOf(bareFacts).configuration).toMatchObject({
      readOnlyPort: 0,
      healthzBindAddress: '127.0.0.1',
      authentication: { anonymous: { enabled: false }, webhook: { enabled: true } },
      authorization: { mode: 'Webhook' },
      providerID: 'rancher://default/node-1',
      clusterDNS: ['10.43.0.10'],
    });
  });
});

describe('nodeLabels', () => {
  it('passes what a kubelet may set on itself, in a stable order', () => {
    expect(
      nodeLabels({
        rack: '7',
        'example.com/disk': 'ssd',
        'topology.kubernetes.io/zone': 'a',
        'node.kubernetes.io/pool': 'blue',
      }),
    ).toBe('example.com/disk=ssd,node.kubernetes.io/pool=blue,rack=7,topology.kubernetes.io/zone=a');
  });

  it('leaves out what would make kubelet refuse to start', () => {
    expect(nodeLabels({ 'node-role.kubernetes.io/worker': '', 'foo.k8s.io/bar': 'x' })).toBeUndefined();
  });
});
