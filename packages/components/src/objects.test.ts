import { describe, expect, it } from 'vitest';
import { systemObjects } from './objects.ts';
import { contextOf, modernFacts } from './testing.ts';

const objects = systemObjects(contextOf(modernFacts).environment);

describe('systemObjects', () => {
  it('are each named once', () => {
    const names = objects.map((o) => `${o.kind}/${o.metadata.namespace ?? ''}/${o.metadata.name}`);
    expect(new Set(names).size).toBe(names.length);
  });

  it('bind only roles that are Kubernetes’ own or ours', () => {
    const ours = objects.filter((o) => o.kind === 'ClusterRole').map((o) => o.metadata.name);
    const roles = objects
      .filter((o) => o.kind === 'ClusterRoleBinding')
      .map((o) => (o as unknown as { roleRef: { name: string } }).roleRef.name);
    for (const role of roles) expect([...ours, 'view', 'system:kubelet-api-admin']).toContain(role);
  });

  it('never let a reader see secrets', () => {
    expect(JSON.stringify(objects)).not.toContain('"secrets"');
  });

  it('reserve the cluster DNS address, and lead it to the host’s own server', () => {
    expect(objects).toContainEqual(
      expect.objectContaining({
        kind: 'Service',
        spec: expect.objectContaining({ clusterIP: '10.43.0.10' }),
      }),
    );
    expect(objects).toContainEqual(
      expect.objectContaining({
        kind: 'EndpointSlice',
        endpoints: [expect.objectContaining({ addresses: ['192.0.0.53'] })],
      }),
    );
  });
});
