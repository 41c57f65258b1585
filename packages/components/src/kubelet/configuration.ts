import { type CertificateSpec, type FileSpec, hostPaths, servicePath } from '@rancher/domain';
import type { ComponentContext } from '../component.ts';
import { clusterDomain, dnsAddress } from '../network.ts';
import { withDefaults } from '../options.ts';
import { oomScore } from '../shared/process.ts';
import { yaml } from '../shared/yaml.ts';
import { nodeTaints } from './taints.ts';

export const healthPort = 10248;
export const kubeletPort = 10250;

/**
 * The cgroup that holds the pods. Under systemd kubelet makes its own slice; otherwise pods go below the host's cgroup,
 * so that hosts of one machine do not clear up each other's pods. Kubelet does not make it itself.
 */
export function podsCgroup(ctx: ComponentContext): string | undefined {
  const { cgroupDriver, cgroupRoot } = ctx.host.facts;
  return cgroupDriver === 'systemd' ? undefined : `${cgroupRoot}/pods`;
}

/** kubelet's configuration (KubeletConfiguration, v1beta1), for cgroup v1 and v2, with systemd and without. */
export function configurationFile(ctx: ComponentContext, server: CertificateSpec): FileSpec {
  const configuration = {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    ...access(server),
    ...identity(ctx),
    ...taints(ctx),
    ...cgroups(ctx),
    ...resources(ctx),
  };
  return { path: servicePath('kubelet', 'config.yaml'), mode: 0o600, content: yaml(configuration) };
}

function access(server: CertificateSpec) {
  return {
    port: kubeletPort,
    readOnlyPort: 0,
    healthzBindAddress: '127.0.0.1',
    healthzPort: healthPort,
    enableProfilingHandler: false,
    enableDebugFlagsHandler: false,
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: server.caPath },
    },
    authorization: { mode: 'Webhook' },
    tlsCertFile: server.certPath,
    tlsPrivateKeyFile: server.keyPath,
    tlsMinVersion: 'VersionTLS12',
    // The agent renews its certificates.
    rotateCertificates: false,
  };
}

function identity(ctx: ComponentContext) {
  return {
    providerID: `rancher://${ctx.environment.name}/${ctx.host.name}`,
    clusterDomain,
    clusterDNS: [dnsAddress(ctx.environment.serviceCidr)],
    containerRuntimeEndpoint: `unix://${hostPaths.containerdSocket}`,
    resolvConf: '/etc/resolv.conf',
    // The default is below /usr, which a local host shares with its machine.
    volumePluginDir: `${hostPaths.kubelet}/volume-plugins`,
    makeIPTablesUtilChains: ctx.host.facts.iptables,
  };
}

/** From the Node's first moment on, so that no pod slips in before the server's look; later the server keeps them. */
function taints(ctx: ComponentContext) {
  const registerWithTaints = nodeTaints(ctx.environment.options, ctx.host.labels);
  return registerWithTaints.length === 0 ? {} : { registerWithTaints };
}

function cgroups(ctx: ComponentContext) {
  const { cgroupVersion, cgroupDriver } = ctx.host.facts;
  return {
    cgroupDriver,
    ...(podsCgroup(ctx) === undefined ? {} : { cgroupRoot: podsCgroup(ctx) }),
    ...(cgroupVersion === 1 ? { failCgroupV1: false } : {}),
    // The pods' limits are enough: the host's other processes have cgroups of their own.
    enforceNodeAllocatable: [],
    failSwapOn: false,
    oomScoreAdj: oomScore(ctx, -999),
  };
}

/** Loose bounds on memory and disk: a laptop with a nearly full disk must still run pods and keep its images. */
function resources(ctx: ComponentContext) {
  return {
    maxPods: withDefaults(ctx.environment.options).maxPodsPerHost,
    evictionHard: {
      'memory.available': '100Mi',
      'nodefs.available': '1%',
      'nodefs.inodesFree': '1%',
      'imagefs.available': '1%',
      'imagefs.inodesFree': '1%',
    },
    imageGCHighThresholdPercent: 98,
    imageGCLowThresholdPercent: 95,
    containerLogMaxSize: '10Mi',
    containerLogMaxFiles: 3,
    serializeImagePulls: false,
  };
}
