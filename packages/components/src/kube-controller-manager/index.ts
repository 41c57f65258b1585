import { type InstanceSpec, probeDefaults, type SecretFileSpec, servicePath } from '@rancher/domain';
import type { Component, ComponentContext } from '../component.ts';
import { withDefaults } from '../options.ts';
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

const name = 'kube-controller-manager';
const port = 10257;

export const kubeControllerManager: Component = {
  name,
  placement: 'control-plane',
  after: ['kube-apiserver', 'api-balancer'],
  ports: [port],
  version: (kubernetesVersion) => kubernetesVersion,
  artifacts: (kubernetesVersion) => [kubernetesArtifact(kubernetesVersion)],
  spec,
};

const secrets = {
  signingKey: { path: servicePath(name, 'pki/ca-kubernetes.key'), mode: 0o600, secret: 'ca/kubernetes.key' },
  serviceAccountKey: {
    path: servicePath(name, 'pki/service-account.key'),
    mode: 0o600,
    secret: 'service-account.key',
  },
} satisfies Record<string, SecretFileSpec>;

function spec(ctx: ComponentContext): InstanceSpec {
  const server = loopbackCertificate(name);
  const client = clientCertificate(name, 'system:kube-controller-manager');
  const kubeconfig = kubeconfigFile(ctx, name, client);
  const options = withDefaults(ctx.environment.options);
  return {
    component: name,
    version: ctx.environment.kubernetesVersion,
    artifacts: [onlyKubernetes(ctx, name)],
    command: [
      kubernetesProgram(ctx, name),
      ...flags({
        kubeconfig: kubeconfig.path,
        'authentication-kubeconfig': kubeconfig.path,
        'authorization-kubeconfig': kubeconfig.path,
        // All that it would look up in the cluster is given here; to look it up would fail while the API server is down.
        'authentication-skip-lookup': true,
        'bind-address': '127.0.0.1',
        'secure-port': port,
        'tls-cert-file': server.certPath,
        'tls-private-key-file': server.keyPath,
        'client-ca-file': server.caPath,
        'leader-elect': electsLeader(ctx),
        profiling: false,
        'cluster-name': ctx.environment.name,
        'allocate-node-cidrs': true,
        'cluster-cidr': ctx.environment.podCidr,
        'node-cidr-mask-size': options.nodeCidrMaskSize,
        'service-cluster-ip-range': ctx.environment.serviceCidr,
        'cluster-signing-cert-file': client.caPath,
        'cluster-signing-key-file': secrets.signingKey.path,
        'root-ca-file': client.caPath,
        'service-account-private-key-file': secrets.serviceAccountKey.path,
        // Each controller acts under its own service account, with no more rights than it needs.
        'use-service-account-credentials': true,
        // On its start it asks for some 120 tokens and accounts, one after the other: at the default 20 requests a
        // second that alone takes four seconds, during which no Node gets its pod addresses.
        'kube-api-qps': 200,
        'kube-api-burst': 400,
      }),
    ],
    env: recoveryEnv(ctx),
    directories: serviceDirectories(name),
    files: [kubeconfig],
    secrets: Object.values(secrets),
    certificates: [server, client],
    addresses: [],
    probe: { httpGet: { scheme: 'https', host: '127.0.0.1', port, path: '/healthz' }, ...probeDefaults },
    stop: { signal: 'SIGTERM', graceMs: 5000 },
    oomScoreAdj: oomScore(ctx, -997),
    cgroups: [],
  };
}
