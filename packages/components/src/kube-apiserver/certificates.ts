import type { ComponentContext } from '../component.ts';
import { clusterDomain, kubernetesServiceAddress } from '../network.ts';
import { certificate } from '../shared/certificates.ts';

const service = 'kube-apiserver';

/** The user that kubelets know the API server as; systemObjects gives it its rights. */
export const kubeletClientUser = 'kube-apiserver-kubelet-client';
export const frontProxyUser = 'front-proxy-client';

/** What it serves with, and what it shows to etcd, to kubelets and to aggregated API servers. */
export function certificatesOf(ctx: ComponentContext) {
  return {
    server: certificate(service, 'server', {
      authority: 'kubernetes',
      commonName: service,
      dnsNames: [
        'kubernetes',
        'kubernetes.default',
        'kubernetes.default.svc',
        `kubernetes.default.svc.${clusterDomain}`,
        'localhost',
        ctx.host.name,
      ],
      ipAddresses: ['127.0.0.1', kubernetesServiceAddress(ctx.environment.serviceCidr), ctx.host.address],
      usages: ['server'],
    }),
    etcd: certificate(service, 'etcd-client', {
      authority: 'etcd',
      commonName: 'kube-apiserver-etcd-client',
      usages: ['client'],
    }),
    kubelet: certificate(service, 'kubelet-client', {
      authority: 'kubernetes',
      commonName: kubeletClientUser,
      usages: ['client'],
    }),
    frontProxy: certificate(service, 'front-proxy-client', {
      authority: 'front-proxy',
      commonName: frontProxyUser,
      usages: ['client'],
    }),
  };
}
