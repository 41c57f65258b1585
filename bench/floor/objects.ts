import type { KubernetesObject } from '@rancher/components';
import type { KubeClient } from './kube.ts';

const plurals: Record<string, string> = {
  ClusterRole: 'clusterroles',
  ClusterRoleBinding: 'clusterrolebindings',
  Service: 'services',
  EndpointSlice: 'endpointslices',
};

/** Applies objects server-side, one after the other. */
export async function apply(client: KubeClient, objects: KubernetesObject[]): Promise<void> {
  for (const object of objects) {
    const root = object.apiVersion === 'v1' ? '/api/v1' : `/apis/${object.apiVersion}`;
    const { namespace, name } = object.metadata;
    const scope = namespace === undefined ? '' : `/namespaces/${namespace}`;
    const path = `${root}${scope}/${plurals[object.kind]}/${name}?fieldManager=rancher&force=true`;
    const { status, body } = await client.request('PATCH', path, object);
    if (status >= 300 || status === 0)
      throw new Error(`${object.kind} ${name}: ${status} ${JSON.stringify(body)}`);
  }
}
