import { type FileSpec, type InstanceSpec, probeDefaults, servicePath } from '@rancher/domain';
import type { Component, ComponentContext } from '../component.ts';
import { clientCertificate, serviceDirectories } from '../shared/certificates.ts';
import { kubeconfigFile } from '../shared/kubeconfig.ts';
import {
  flags,
  kubernetesArtifact,
  kubernetesProgram,
  onlyKubernetes,
  oomScore,
  pathEnv,
} from '../shared/process.ts';
import { yaml } from '../shared/yaml.ts';

const name = 'kube-proxy';
const healthPort = 10256;
const metricsPort = 10249;

export const kubeProxy: Component = {
  name,
  placement: 'all',
  // It looks for its Node once a second; started when kubelet is up, it finds the Node at its first look.
  after: ['kube-apiserver', 'kubelet', 'api-balancer'],
  ports: [healthPort, metricsPort],
  version: (kubernetesVersion) => kubernetesVersion,
  artifacts: (kubernetesVersion) => [kubernetesArtifact(kubernetesVersion)],
  spec,
};

function spec(ctx: ComponentContext): InstanceSpec {
  const client = clientCertificate(name, 'system:kube-proxy');
  const kubeconfig = kubeconfigFile(ctx, name, client);
  const configuration = configurationFile(ctx, kubeconfig.path);
  return {
    component: name,
    version: ctx.environment.kubernetesVersion,
    artifacts: [onlyKubernetes(ctx, name)],
    command: [kubernetesProgram(ctx, name), ...flags({ config: configuration.path })],
    env: pathEnv(),
    directories: serviceDirectories(name),
    files: [configuration, kubeconfig],
    secrets: [],
    certificates: [client],
    addresses: [],
    // Not /healthz, which also fails for a Node that is about to be removed: no reason to replace the proxy.
    probe: {
      httpGet: { scheme: 'http', host: '127.0.0.1', port: healthPort, path: '/livez' },
      ...probeDefaults,
    },
    stop: { signal: 'SIGTERM', graceMs: 5000 },
    oomScoreAdj: oomScore(ctx, -999),
    cgroups: [],
  };
}

function configurationFile(ctx: ComponentContext, kubeconfig: string): FileSpec {
  return {
    path: servicePath(name, 'config.yaml'),
    mode: 0o600,
    content: yaml({
      apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
      kind: 'KubeProxyConfiguration',
      clientConnection: { kubeconfig },
      hostnameOverride: ctx.host.name,
      mode: ctx.host.facts.nftables ? 'nftables' : 'iptables',
      clusterCIDR: ctx.environment.podCidr,
      bindAddress: ctx.host.address,
      healthzBindAddress: `127.0.0.1:${healthPort}`,
      metricsBindAddress: `127.0.0.1:${metricsPort}`,
      // The kernel's table of connections is the machine's, not this host's: leave its size alone.
      conntrack: { maxPerCore: 0, min: 0 },
      oomScoreAdj: oomScore(ctx, -999),
    }),
  };
}
