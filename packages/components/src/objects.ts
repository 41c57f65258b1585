import { cniUser } from './cni/index.ts';
import type { EnvironmentContext } from './component.ts';
import { dnsUser } from './dns/index.ts';
import { kubeletClientUser } from './kube-apiserver/certificates.ts';
import { dnsAddress, nodeLocalDnsAddress } from './network.ts';

/** An object as the Kubernetes API takes it. */
export interface KubernetesObject {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string; labels?: Record<string, string> };
  [field: string]: unknown;
}

/** Group that callers with a read-only key are impersonated with. */
export const readOnlyGroup = 'rancher:read-only';

const labels = { 'app.kubernetes.io/managed-by': 'rancher' };
const rbac = 'rbac.authorization.k8s.io';

/**
 * What the system stack needs inside the cluster: rights that Kubernetes does not give by itself, and the Service of
 * the cluster DNS. In order of need; to be applied server-side, all of it each time.
 */
export function systemObjects(environment: EnvironmentContext): KubernetesObject[] {
  return [
    ...cniRights(),
    ...dnsRights(),
    ...kubeletRights(),
    ...readOnlyRights(),
    ...dnsService(environment),
  ];
}

/** For logs, exec, port-forward and metrics: what the API server may ask of kubelets. */
function kubeletRights(): KubernetesObject[] {
  return [binding('rancher:kube-apiserver-to-kubelet', 'system:kubelet-api-admin', user(kubeletClientUser))];
}

/** The role `view` (no secrets), and to read those cluster-wide objects that it leaves out. */
function readOnlyRights(): KubernetesObject[] {
  const group = { kind: 'Group', name: readOnlyGroup, apiGroup: rbac };
  const read = ['get', 'list', 'watch'];
  const role: KubernetesObject = {
    apiVersion: `${rbac}/v1`,
    kind: 'ClusterRole',
    metadata: { name: readOnlyGroup, labels },
    rules: [
      { apiGroups: [''], resources: ['nodes', 'namespaces', 'persistentvolumes'], verbs: read },
      { apiGroups: ['storage.k8s.io'], resources: ['storageclasses', 'csidrivers', 'csinodes'], verbs: read },
      { apiGroups: ['networking.k8s.io'], resources: ['ingressclasses'], verbs: read },
      { apiGroups: ['scheduling.k8s.io'], resources: ['priorityclasses'], verbs: read },
      { apiGroups: ['apiextensions.k8s.io'], resources: ['customresourcedefinitions'], verbs: read },
    ],
  };
  return [
    role,
    binding(readOnlyGroup, readOnlyGroup, group),
    binding(`${readOnlyGroup}:view`, 'view', group),
  ];
}

/** What the routes of the pod network follow, and network policies. First in order: no Node is Ready without. */
function cniRights(): KubernetesObject[] {
  const read = ['list', 'watch'];
  const role: KubernetesObject = {
    apiVersion: `${rbac}/v1`,
    kind: 'ClusterRole',
    metadata: { name: cniUser, labels },
    rules: [
      { apiGroups: [''], resources: ['nodes', 'pods', 'namespaces'], verbs: read },
      { apiGroups: ['networking.k8s.io'], resources: ['networkpolicies'], verbs: read },
    ],
  };
  return [role, binding(cniUser, cniUser, user(cniUser))];
}

function dnsRights(): KubernetesObject[] {
  const read = ['list', 'watch'];
  const role: KubernetesObject = {
    apiVersion: `${rbac}/v1`,
    kind: 'ClusterRole',
    metadata: { name: dnsUser, labels },
    rules: [
      { apiGroups: [''], resources: ['services', 'namespaces'], verbs: read },
      { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: read },
    ],
  };
  return [role, binding(dnsUser, dnsUser, user(dnsUser))];
}

/**
 * The cluster DNS address leads each host to its own DNS server (see `nodeLocalDnsAddress`), so names resolve as long as
 * the host itself works. As a Service it is reserved, seen by `kubectl`, and reached from host-network pods too.
 */
function dnsService(environment: EnvironmentContext): KubernetesObject[] {
  const metadata = {
    name: 'kube-dns',
    namespace: 'kube-system',
    labels: { ...labels, 'k8s-app': 'kube-dns', 'kubernetes.io/name': 'CoreDNS' },
  };
  const ports = [
    { name: 'dns', port: 53, protocol: 'UDP' },
    { name: 'dns-tcp', port: 53, protocol: 'TCP' },
  ];
  const service: KubernetesObject = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata,
    spec: {
      type: 'ClusterIP',
      clusterIP: dnsAddress(environment.serviceCidr),
      ports: ports.map((p) => ({ ...p, targetPort: p.port })),
    },
  };
  const slice: KubernetesObject = {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { ...metadata, labels: { ...metadata.labels, 'kubernetes.io/service-name': metadata.name } },
    addressType: 'IPv4',
    endpoints: [{ addresses: [nodeLocalDnsAddress], conditions: { ready: true } }],
    ports,
  };
  return [service, slice];
}

function user(name: string) {
  return { kind: 'User', name, apiGroup: rbac };
}

function binding(name: string, role: string, subject: object): KubernetesObject {
  return {
    apiVersion: `${rbac}/v1`,
    kind: 'ClusterRoleBinding',
    metadata: { name, labels },
    roleRef: { apiGroup: rbac, kind: 'ClusterRole', name: role },
    subjects: [subject],
  };
}
