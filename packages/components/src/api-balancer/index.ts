import { artifactPath, type InstanceSpec, probeDefaults } from '@rancher/domain';
import type { Component, ComponentContext } from '../component.ts';
import { serviceDirectories } from '../shared/certificates.ts';
import { apiBalancerPort } from '../shared/kubeconfig.ts';
import { oomScore } from '../shared/process.ts';
import { companionsOf } from '../versions.ts';
import { configurationFile, healthPort, balancerName as name, reloadOf } from './configuration.ts';

const artifactOf = (kubernetesVersion: string) => ({
  name: 'haproxy',
  version: companionsOf(kubernetesVersion).haproxy,
});

export const apiBalancer: Component = {
  name,
  placement: 'all',
  after: [],
  ports: [apiBalancerPort, healthPort],
  version: (kubernetesVersion) => artifactOf(kubernetesVersion).version,
  artifacts: (kubernetesVersion) => [artifactOf(kubernetesVersion)],
  spec,
};

function spec(ctx: ComponentContext): InstanceSpec {
  const artifact = artifactOf(ctx.environment.kubernetesVersion);
  const configuration = configurationFile(ctx);
  return {
    component: name,
    version: artifact.version,
    artifacts: [artifact],
    command: [artifactPath(artifact, 'haproxy'), '-db', '-f', configuration.path],
    env: {},
    directories: serviceDirectories(name),
    files: [configuration],
    reload: reloadOf(ctx),
    secrets: [],
    certificates: [],
    addresses: [],
    // Its own, whatever is behind it: to start it anew would bring no API server back.
    probe: {
      httpGet: { scheme: 'http', host: '127.0.0.1', port: healthPort, path: '/livez' },
      ...probeDefaults,
    },
    stop: { signal: 'SIGTERM', graceMs: 2000 },
    oomScoreAdj: oomScore(ctx, -997),
    cgroups: [],
  };
}
