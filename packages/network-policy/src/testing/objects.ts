/** Kubernetes objects in few words. */

import type { NamespaceObject, PodObject, PolicyObject } from '../objects.ts';
import type { LabelSelector } from '../selector.ts';

export function namespace(name: string, labels: Record<string, string> = {}): NamespaceObject {
  return { metadata: { name, labels: { 'kubernetes.io/metadata.name': name, ...labels } } };
}

export interface PodWords {
  labels?: Record<string, string>;
  node?: string;
  ports?: { name?: string; containerPort: number; protocol?: string }[];
}

/** A running pod, `key` as `<namespace>/<name>`; of `host-1` unless told. */
export function pod(key: string, address: string, words: PodWords = {}): PodObject {
  const [namespace, name] = key.split('/') as [string, string];
  return {
    metadata: { name, namespace, uid: `uid-${key}`, labels: words.labels ?? {} },
    spec: { nodeName: words.node ?? 'host-1', containers: [{ ports: words.ports ?? [] }] },
    status: { phase: 'Running', podIPs: [{ ip: address }] },
  };
}

type Spec = NonNullable<PolicyObject['spec']>;

/** A policy, its types as the API server would fill them in. */
export function policy(key: string, spec: Spec): PolicyObject {
  const [namespace, name] = key.split('/') as [string, string];
  const policyTypes = spec.policyTypes ?? ['Ingress', ...(spec.egress ? ['Egress'] : [])];
  return { metadata: { name, namespace }, spec: { podSelector: {}, ...spec, policyTypes } };
}

export const labelled = (matchLabels: Record<string, string>): LabelSelector => ({ matchLabels });
