import { type FileSpec, servicePath } from '@rancher/domain';

/**
 * The pod network, as configuration of the reference CNI plugins. Not a component: nothing runs. containerd fills the
 * template with the host's pod CIDR as soon as kubelet has learned it from its Node, and writes it to
 * `hostPaths.cniConf`; until then the Node is not Ready.
 */
export function cniTemplateFile(nftables: boolean): FileSpec {
  const backend = nftables ? 'nftables' : 'iptables';
  const conflist = {
    cniVersion: '1.0.0',
    name: 'rancher',
    plugins: [
      {
        type: 'bridge',
        bridge: 'cni0',
        isGateway: true,
        isDefaultGateway: true,
        ipMasq: true,
        ipMasqBackend: backend,
        hairpinMode: true,
        ipam: {
          type: 'host-local',
          ranges: [[{ subnet: '{{.PodCIDR}}' }]],
          dataDir: '/var/lib/cni/networks',
        },
      },
      { type: 'portmap', capabilities: { portMappings: true }, backend },
      { type: 'bandwidth', capabilities: { bandwidth: true } },
    ],
  };
  return {
    path: servicePath('containerd', 'cni.conflist.template'),
    mode: 0o644,
    content: `${JSON.stringify(conflist, null, 2)}\n`,
  };
}
