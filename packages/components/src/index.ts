export * from './component.ts';
export { etcdDataDir, etcdPeerUrl } from './etcd/index.ts';
export { nodeTaints, type Taint, taintsChanged } from './kubelet/taints.ts';
export { clusterDomain, dnsAddress, kubernetesServiceAddress, nodeLocalDnsAddress } from './network.ts';
export { type KubernetesObject, readOnlyGroup, systemObjects } from './objects.ts';
export { type EnvironmentOptions, environmentOptionsSchema, withDefaults } from './options.ts';
export { artifactsOf, components, portsOfHosts } from './registry.ts';
export { parseAuthority, resolveSecretFile, type SecretDefinition, secretDefinitions } from './secrets.ts';
export { supportedVersions } from './versions.ts';
