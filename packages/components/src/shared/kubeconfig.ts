import { type CertificateSpec, type FileSpec, servicePath } from '@rancher/domain';
import type { ComponentContext } from '../component.ts';
import { yaml } from './yaml.ts';

/** Port of the API server on every host of the control plane. */
export const apiServerPort = 6443;

/** Where this host finds the API server: its own where it has one, so that it needs no other host. */
export function apiServerUrl(ctx: ComponentContext): string {
  const own = ctx.apiServers.some((s) => s.address === ctx.host.address);
  return `https://${own ? '127.0.0.1' : (ctx.apiServers[0]?.address ?? '127.0.0.1')}:${apiServerPort}`;
}

/** The kubeconfig of a service, which names its certificate by path, so that a renewed one is taken up by itself. */
export function kubeconfigFile(ctx: ComponentContext, service: string, client: CertificateSpec): FileSpec {
  const name = ctx.environment.name;
  return {
    path: servicePath(service, 'kubeconfig'),
    mode: 0o600,
    content: yaml({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name, cluster: { server: apiServerUrl(ctx), 'certificate-authority': client.caPath } }],
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
