import { Value } from 'typebox/value';
import { describe, expect, it } from 'vitest';
import { dnsAddress, environmentOptionsSchema } from './index.ts';
import { kubernetesServiceAddress } from './network.ts';
import { artifactsOf } from './registry.ts';
import { supportedVersions } from './versions.ts';

describe('versions', () => {
  it('have exactly one default', () => {
    expect(supportedVersions.filter((v) => v.default)).toHaveLength(1);
  });

  it.each(supportedVersions)('$version names every artifact that a host needs', ({ version }) => {
    expect(artifactsOf(version).map((a) => a.name)).toEqual([
      'etcd',
      'containerd',
      'runc',
      'cni-front',
      'haproxy',
      'kubernetes',
      'rancher-cni',
      'cni-plugins',
      'rancher-dns',
    ]);
  });

  it('refuse another, naming those that are', () => {
    expect(() => artifactsOf('1.35.4')).toThrow(
      expect.objectContaining({ code: 'unknown_version', message: expect.stringContaining('1.37.2') }),
    );
  });
});

describe('addresses', () => {
  it('are the first and the tenth of the services’ block', () => {
    expect(kubernetesServiceAddress('172.16.8.0/22')).toBe('172.16.8.1');
    expect(dnsAddress('172.16.8.0/22')).toBe('172.16.8.10');
  });
});

describe('options', () => {
  it.each([
    [{}, true],
    [{ maxPodsPerHost: 50, auditLog: { maxBackups: 1 } }, true],
    [{ maxPods: 50 }, false],
    [{ maxPodsPerHost: 0 }, false],
    [{ auditLog: { size: 1 } }, false],
  ])('%j is valid: %s', (options, valid) => {
    expect(Value.Check(environmentOptionsSchema, options)).toBe(valid);
  });
});
