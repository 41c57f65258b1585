import { type InstanceSpec, probeDefaults, type SecretFileSpec, servicePath } from '@rancher/domain';
import type { Component, ComponentContext } from '../component.ts';
import { serviceDirectories } from '../shared/certificates.ts';
import { apiServerPort } from '../shared/kubeconfig.ts';
import {
  kubernetesArtifact,
  kubernetesProgram,
  onlyKubernetes,
  oomScore,
  recoveryEnv,
} from '../shared/process.ts';
import { certificatesOf } from './certificates.ts';
import { auditDirectory, auditPolicyFile, authenticationFile } from './files.ts';
import { apiServerFlags } from './flags.ts';

const name = 'kube-apiserver';

export const kubeApiserver: Component = {
  name,
  placement: 'control-plane',
  after: ['etcd'],
  ports: [apiServerPort],
  version: (kubernetesVersion) => kubernetesVersion,
  artifacts: (kubernetesVersion) => [kubernetesArtifact(kubernetesVersion)],
  spec,
};

const secrets = {
  serviceAccountKey: {
    path: servicePath(name, 'pki/service-account.key'),
    mode: 0o600,
    secret: 'service-account.key',
  },
  serviceAccountPublicKey: {
    path: servicePath(name, 'pki/service-account.pub'),
    mode: 0o600,
    secret: 'service-account.pub',
  },
  encryption: { path: servicePath(name, 'encryption.yaml'), mode: 0o600, secret: 'encryption-config' },
} satisfies Record<string, SecretFileSpec>;

function spec(ctx: ComponentContext): InstanceSpec {
  const certificates = certificatesOf(ctx);
  return {
    component: name,
    version: ctx.environment.kubernetesVersion,
    artifacts: [onlyKubernetes(ctx, name)],
    command: [kubernetesProgram(ctx, name), ...apiServerFlags(ctx, certificates, secrets)],
    env: recoveryEnv(ctx),
    directories: [...serviceDirectories(name), { path: auditDirectory, mode: 0o700 }],
    files: [authenticationFile, auditPolicyFile],
    secrets: Object.values(secrets),
    certificates: Object.values(certificates),
    addresses: [],
    // Without etcd it cannot serve, but starting it anew would not bring etcd back.
    probe: {
      httpGet: { scheme: 'https', host: '127.0.0.1', port: apiServerPort, path: '/livez?exclude=etcd' },
      ...probeDefaults,
    },
    stop: { signal: 'SIGTERM', graceMs: 15_000 },
    oomScoreAdj: oomScore(ctx, -997),
    cgroups: [],
  };
}
