import { type FileSpec, type InstanceSpec, probeDefaults, servicePath } from '@rancher/domain';
import type { Component, ComponentContext } from '../component.ts';
import { clientCertificate, loopbackCertificate, serviceDirectories } from '../shared/certificates.ts';
import { kubeconfigFile } from '../shared/kubeconfig.ts';
import {
  electsLeader,
  flags,
  kubernetesArtifact,
  kubernetesProgram,
  onlyKubernetes,
  oomScore,
  recoveryEnv,
} from '../shared/process.ts';
import { yaml } from '../shared/yaml.ts';

const name = 'kube-scheduler';
const port = 10259;

export const kubeScheduler: Component = {
  name,
  placement: 'control-plane',
  after: ['kube-apiserver', 'api-balancer'],
  ports: [port],
  version: (kubernetesVersion) => kubernetesVersion,
  artifacts: (kubernetesVersion) => [kubernetesArtifact(kubernetesVersion)],
  spec,
};

function spec(ctx: ComponentContext): InstanceSpec {
  const server = loopbackCertificate(name);
  const client = clientCertificate(name, 'system:kube-scheduler');
  const kubeconfig = kubeconfigFile(ctx, name, client);
  const configuration = configurationFile(ctx, kubeconfig.path);
  return {
    component: name,
    version: ctx.environment.kubernetesVersion,
    artifacts: [onlyKubernetes(ctx, name)],
    command: [
      kubernetesProgram(ctx, name),
      ...flags({
        config: configuration.path,
        'bind-address': '127.0.0.1',
        'secure-port': port,
        'tls-cert-file': server.certPath,
        'tls-private-key-file': server.keyPath,
        'client-ca-file': server.caPath,
        'authentication-kubeconfig': kubeconfig.path,
        'authorization-kubeconfig': kubeconfig.path,
        // All that it would look up in the cluster is given here; to look it up would fail while the API server is down.
        'authentication-skip-lookup': true,
      }),
    ],
    env: recoveryEnv(ctx),
    directories: serviceDirectories(name),
    files: [configuration, kubeconfig],
    secrets: [],
    certificates: [server, client],
    addresses: [],
    probe: { httpGet: { scheme: 'https', host: '127.0.0.1', port, path: '/livez' }, ...probeDefaults },
    stop: { signal: 'SIGTERM', graceMs: 5000 },
    oomScoreAdj: oomScore(ctx, -997),
    cgroups: [],
  };
}

function configurationFile(ctx: ComponentContext, kubeconfig: string): FileSpec {
  return {
    path: servicePath(name, 'config.yaml'),
    mode: 0o600,
    content: yaml({
      apiVersion: 'kubescheduler.config.k8s.io/v1',
      kind: 'KubeSchedulerConfiguration',
      clientConnection: { kubeconfig },
      leaderElection: { leaderElect: electsLeader(ctx) },
      enableProfiling: false,
    }),
  };
}
