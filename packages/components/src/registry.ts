import type { ArtifactRef } from '@rancher/domain';
import { apiBalancer } from './api-balancer/index.ts';
import { cni } from './cni/index.ts';
import type { Component } from './component.ts';
import { containerd } from './containerd/index.ts';
import { dns } from './dns/index.ts';
import { etcd } from './etcd/index.ts';
import { kubeApiserver } from './kube-apiserver/index.ts';
import { kubeControllerManager } from './kube-controller-manager/index.ts';
import { kubeProxy } from './kube-proxy/index.ts';
import { kubeScheduler } from './kube-scheduler/index.ts';
import { kubelet } from './kubelet/index.ts';

/** The system stack, in start order. A new component is its room and a line here. */
export const components: Component[] = [
  etcd,
  containerd,
  apiBalancer,
  kubeApiserver,
  kubeControllerManager,
  cni,
  kubelet,
  kubeScheduler,
  kubeProxy,
  dns,
];

/** TCP ports that a host must have free, in order. */
export const portsOfHosts: readonly number[] = components.flatMap((c) => c.ports).sort((a, b) => a - b);

/** Every artifact that a host needs for a version of Kubernetes, each once. */
export function artifactsOf(kubernetesVersion: string): ArtifactRef[] {
  const all = components.flatMap((c) => c.artifacts(kubernetesVersion));
  return [...new Map(all.map((a) => [`${a.name}-${a.version}`, a])).values()];
}
