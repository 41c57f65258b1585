import { hostPaths, type InstanceSpec, probeDefaults } from '@rancher/domain';
import type { Component, ComponentContext } from '../component.ts';
import { certificate, clientCertificate, serviceDirectories } from '../shared/certificates.ts';
import { kubeconfigFile } from '../shared/kubeconfig.ts';
import {
  flags,
  kubernetesArtifact,
  kubernetesProgram,
  onlyKubernetes,
  oomScore,
  pathEnv,
} from '../shared/process.ts';
import { configurationFile, healthPort, kubeletPort, podsCgroup } from './configuration.ts';
import { nodeLabels } from './labels.ts';

const name = 'kubelet';

export const kubelet: Component = {
  name,
  placement: 'all',
  after: ['containerd', 'kube-apiserver', 'api-balancer'],
  ports: [kubeletPort, healthPort],
  version: (kubernetesVersion) => kubernetesVersion,
  artifacts: (kubernetesVersion) => [kubernetesArtifact(kubernetesVersion)],
  spec,
};

function spec(ctx: ComponentContext): InstanceSpec {
  const user = `system:node:${ctx.host.name}`;
  const server = certificate(name, 'server', {
    authority: 'kubernetes',
    commonName: user,
    organizations: ['system:nodes'],
    dnsNames: [ctx.host.name],
    ipAddresses: [ctx.host.address],
    usages: ['server'],
  });
  const client = clientCertificate(name, user, ['system:nodes']);
  const kubeconfig = kubeconfigFile(ctx, name, client);
  const configuration = configurationFile(ctx, server);
  return {
    component: name,
    version: ctx.environment.kubernetesVersion,
    artifacts: [onlyKubernetes(ctx, name)],
    command: [
      kubernetesProgram(ctx, name),
      ...flags({
        config: configuration.path,
        kubeconfig: kubeconfig.path,
        'root-dir': hostPaths.kubelet,
        'hostname-override': ctx.host.name,
        'node-ip': ctx.host.address,
        'node-labels': nodeLabels(ctx.host.labels),
      }),
    ],
    env: pathEnv(),
    directories: [
      ...serviceDirectories(name),
      { path: hostPaths.kubelet, mode: 0o750 },
      { path: hostPaths.podLogs, mode: 0o755 },
    ],
    files: [configuration, kubeconfig],
    secrets: [],
    certificates: [server, client],
    addresses: [],
    probe: {
      httpGet: { scheme: 'http', host: '127.0.0.1', port: healthPort, path: '/healthz' },
      ...probeDefaults,
    },
    stop: { signal: 'SIGTERM', graceMs: 5000 },
    oomScoreAdj: oomScore(ctx, -999),
    cgroups: podsCgroup(ctx) === undefined ? [] : ['pods'],
  };
}
