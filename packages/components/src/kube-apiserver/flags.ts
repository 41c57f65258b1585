import type { SecretFileSpec } from '@rancher/domain';
import type { ComponentContext } from '../component.ts';
import { etcdClientPort } from '../etcd/index.ts';
import { clusterDomain } from '../network.ts';
import { withDefaults } from '../options.ts';
import { apiServerPort } from '../shared/kubeconfig.ts';
import { flags } from '../shared/process.ts';
import { type certificatesOf, frontProxyUser } from './certificates.ts';
import { auditDirectory, auditPolicyFile, authenticationFile } from './files.ts';

type Certificates = ReturnType<typeof certificatesOf>;
type Secrets = Record<'serviceAccountKey' | 'serviceAccountPublicKey' | 'encryption', SecretFileSpec>;

export function apiServerFlags(
  ctx: ComponentContext,
  certificates: Certificates,
  secrets: Secrets,
): string[] {
  return flags({
    'advertise-address': ctx.host.address,
    'bind-address': '0.0.0.0',
    'secure-port': apiServerPort,
    'tls-cert-file': certificates.server.certPath,
    'tls-private-key-file': certificates.server.keyPath,
    'tls-min-version': 'VersionTLS12',
    ...etcdAccess(ctx, certificates),
    ...accessToItself(certificates, secrets),
    ...accessToOthers(certificates),
    'service-cluster-ip-range': ctx.environment.serviceCidr,
    'allow-privileged': true,
    profiling: false,
    // Stopped in order, it is unready for this long before it takes no more connections: three looks of the balancers.
    // What is asked later over those that it has is told to try again, which clients of Kubernetes do.
    'shutdown-delay-duration': '1500ms',
    'shutdown-send-retry-after': true,
    ...audit(ctx),
  });
}

function etcdAccess(ctx: ComponentContext, { etcd }: Certificates) {
  // Beside a member it lives and dies with that one, and its spec need not change with the others.
  const members = ctx.holdsEtcd ? ['127.0.0.1'] : ctx.etcd.map((m) => m.address);
  return {
    'etcd-servers': members.map((address) => `https://${address}:${etcdClientPort}`).join(','),
    'etcd-cafile': etcd.caPath,
    'etcd-certfile': etcd.certPath,
    'etcd-keyfile': etcd.keyPath,
  };
}

/** Who may call it, and how service account tokens are made. */
function accessToItself({ server }: Certificates, secrets: Secrets) {
  const issuer = `https://kubernetes.default.svc.${clusterDomain}`;
  return {
    'client-ca-file': server.caPath,
    'authentication-config': authenticationFile.path,
    'authorization-mode': 'Node,RBAC',
    'enable-admission-plugins': 'NodeRestriction',
    'encryption-provider-config': secrets.encryption.path,
    'service-account-issuer': issuer,
    'service-account-key-file': secrets.serviceAccountPublicKey.path,
    'service-account-signing-key-file': secrets.serviceAccountKey.path,
  };
}

/** How it shows itself to kubelets and to aggregated API servers. */
function accessToOthers({ kubelet, frontProxy }: Certificates) {
  return {
    'kubelet-client-certificate': kubelet.certPath,
    'kubelet-client-key': kubelet.keyPath,
    'kubelet-certificate-authority': kubelet.caPath,
    // By address alone: otherwise logs and exec look the host's name up in DNS.
    'kubelet-preferred-address-types': 'InternalIP',
    'proxy-client-cert-file': frontProxy.certPath,
    'proxy-client-key-file': frontProxy.keyPath,
    'requestheader-client-ca-file': frontProxy.caPath,
    'requestheader-allowed-names': frontProxyUser,
    'requestheader-username-headers': 'X-Remote-User',
    'requestheader-uid-headers': 'X-Remote-Uid',
    'requestheader-group-headers': 'X-Remote-Group',
    'requestheader-extra-headers-prefix': 'X-Remote-Extra-',
  };
}

function audit(ctx: ComponentContext) {
  const { auditLog } = withDefaults(ctx.environment.options);
  return {
    'audit-policy-file': auditPolicyFile.path,
    'audit-log-path': `${auditDirectory}/audit.log`,
    'audit-log-maxsize': auditLog.maxSizeMegabytes,
    'audit-log-maxbackup': auditLog.maxBackups,
    'audit-log-mode': 'batch',
  };
}
