import type { Node } from './desired.ts';

/** The part of a Node that we read (Kubernetes API, core/v1). */
export interface KubeNode {
  metadata: { name: string };
  spec?: { podCIDR?: string; podCIDRs?: string[] };
  status?: { addresses?: { type: string; address: string }[] };
}

/** What routes need of a Node; undefined while it has no address or no pods' block (IPv4) yet. */
export function nodeOf({ metadata, spec, status }: KubeNode): Node | undefined {
  const blocks = spec?.podCIDRs ?? (spec?.podCIDR === undefined ? [] : [spec.podCIDR]);
  const podCidr = blocks.find((block) => block.includes('.'));
  const address = status?.addresses?.find((a) => a.type === 'InternalIP' && a.address.includes('.'))?.address;
  return podCidr === undefined || address === undefined
    ? undefined
    : { name: metadata.name, address, podCidr };
}
