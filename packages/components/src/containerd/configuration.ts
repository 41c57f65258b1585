import { type FileSpec, hostPaths, servicePath } from '@rancher/domain';
import { pauseImageName } from './pause-image.ts';

interface Settings {
  runc: string;
  /** Folder of the CNI plugin `rancher`. */
  cniFront: string;
  systemdCgroup: boolean;
  /** Without CAP_SYS_RESOURCE, containers keep at least containerd's own oom_score_adj. */
  restrictOomScoreAdj: boolean;
}

/** Snapshotters and services that nothing here uses; each probes the machine on start. */
const disabledPlugins = [
  'io.containerd.snapshotter.v1.blockfile',
  'io.containerd.snapshotter.v1.btrfs',
  'io.containerd.snapshotter.v1.devmapper',
  'io.containerd.snapshotter.v1.erofs',
  'io.containerd.snapshotter.v1.zfs',
  'io.containerd.monitor.container.v1.restart',
];

/** containerd's configuration, version 3: its own root and state, nothing of the machine's (imports, NRI, /opt). */
export function configurationFile(settings: Settings): FileSpec {
  const text = (value: string) => JSON.stringify(value);
  const content = `version = 3
root = ${text(hostPaths.containerd)}
state = ${text(hostPaths.containerdState)}
imports = []
disabled_plugins = [${disabledPlugins.map(text).join(', ')}]

[grpc]
  address = ${text(hostPaths.containerdSocket)}

[plugins.'io.containerd.shim.v1.manager']
  socket_dir = ${text(`${hostPaths.containerdState}/s`)}

[plugins.'io.containerd.cri.v1.images']
  snapshotter = 'overlayfs'

[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = ${text(pauseImageName)}

[plugins.'io.containerd.cri.v1.images'.registry]
  config_path = '/etc/containerd/certs.d'

[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = ${settings.restrictOomScoreAdj}
  # Not in /run/netns, which is everybody's.
  netns_mounts_under_state_dir = true

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = 'io.containerd.runc.v2'

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
  BinaryName = ${text(settings.runc)}
  SystemdCgroup = ${settings.systemdCgroup}
  Root = ${text(`${hostPaths.containerdState}/runc`)}

[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = [${text(settings.cniFront)}]
  conf_dir = ${text(hostPaths.cniConf)}
    use_internal_loopback = true

[plugins.'io.containerd.nri.v1.nri']
  disable = true

[plugins.'io.containerd.internal.v1.opt']
  path = ${text(`${hostPaths.containerd}/opt`)}
`;
  return { path: servicePath('containerd', 'config.toml'), mode: 0o644, content };
}
