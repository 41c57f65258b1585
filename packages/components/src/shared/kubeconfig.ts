import { type CertificateSpec, type FileSpec, servicePath } from '@rancher/domain';
import type { ComponentContext } from '../component.ts';
import { yaml } from './yaml.ts';

/** Port of the API server on every host of the control plane. */
export const apiServerPort = 6443;

/** Port of the balancer that every host has for its own clients of the API. */
export const apiBalancerPort = 6444;

/** Where every client of the Kubernetes API on a host finds it, the same on each: the host's own balancer. */
export const apiServerUrl = `https://127.0.0.1:${apiBalancerPort}`;

/** The kubeconfig of a service, which names its certificate by path, so that a renewed one is taken up by itself. */
export function kubeconfigFile(ctx: ComponentContext, service: string, client: CertificateSpec): FileSpec {
  const name = ctx.environment.name;
  return {
    path: servicePath(service, 'kubeconfig'),
    mode: 0o600,
    content: yaml({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name, cluster: { server: apiServerUrl, 'certificate-authority': client.caPath } }],
      users: [
        {
          name: client.commonName,
          user: { 'client-certificate': client.certPath, 'client-key': client.keyPath },
        },
      ],
      contexts: [{ name, context: { cluster: name, user: client.commonName } }],
      'current-context': name,
    }),
  };
}
