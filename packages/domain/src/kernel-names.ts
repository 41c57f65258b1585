/** What the programs of a host call theirs in its kernel: whoever makes it and whoever clears it up must mean the same. */
export const kernelNames = {
  /** VXLAN link to hosts of other subnets. */
  overlayLink: 'rancher-vxlan',
  /** Marks our routes among others' (`ip route show proto 114`); numbers from 4 on belong to nobody (rtnetlink(7)). */
  routeProtocol: 114,
  /** nftables table of family `ip`: masquerading, MSS. */
  networkTable: 'rancher-cni',
  /** Network of CNI that pods are connected to. */
  podNetwork: 'rancher',
  /** nftables table of family `inet`: NetworkPolicies. */
  policyTable: 'rancher-policy',
} as const;
