import {
  type ArtifactRef,
  artifactPath,
  type FileSpec,
  hostPaths,
  type InstanceSpec,
  kernelNames,
  probeDefaults,
  programArtifact,
  programPath,
  servicePath,
} from '@rancher/domain';
import type { Component, ComponentContext } from '../component.ts';
import { dnsAddress, nodeLocalDnsAddress } from '../network.ts';
import { withDefaults } from '../options.ts';
import { clientCertificate, serviceDirectories } from '../shared/certificates.ts';
import { apiServerUrl } from '../shared/kubeconfig.ts';
import { oomScore, pathEnv } from '../shared/process.ts';
import { companionsOf } from '../versions.ts';

const name = 'cni';
/** Who the daemon is in the cluster; its rights are in `objects.ts`. */
export const cniUser = 'rancher:cni';
const healthPort = 10055;
const runDirectory = hostPaths.cniRun;

/** The pod network of every host: a resident daemon, and the configuration by which containerd calls its front. */
export const cni: Component = {
  name,
  placement: 'all',
  after: ['kube-apiserver', 'api-balancer'],
  ports: [healthPort],
  version: () => programArtifact(name).version,
  artifacts: (kubernetesVersion) => Object.values(artifactsOf(kubernetesVersion)),
  spec,
};

function artifactsOf(kubernetesVersion: string): Record<'program' | 'plugins', ArtifactRef> {
  return {
    program: programArtifact(name),
    plugins: { name: 'cni-plugins', version: companionsOf(kubernetesVersion).cniPlugins },
  };
}

/** What containerd starts for each pod. It is the same whatever the daemon is: a new daemon needs no new containerd. */
export function cniFrontArtifact(kubernetesVersion: string): ArtifactRef {
  return { name: 'cni-front', version: companionsOf(kubernetesVersion).cniFront };
}

function spec(ctx: ComponentContext): InstanceSpec {
  const { program, plugins } = artifactsOf(ctx.environment.kubernetesVersion);
  const client = clientCertificate(name, cniUser);
  const { certPath, keyPath, caPath } = client;
  const configuration: FileSpec = {
    path: servicePath(name, 'config.json'),
    mode: 0o600,
    content: json({
      nodeName: ctx.host.name,
      address: ctx.host.address,
      podCidr: ctx.environment.podCidr,
      plugins: artifactPath(plugins, '').slice(0, -1),
      kubernetes: { server: apiServerUrl, caPath, certPath, keyPath },
      dns: { service: dnsAddress(ctx.environment.serviceCidr), local: nodeLocalDnsAddress },
      healthPort,
      vxlanPort: withDefaults(ctx.environment.options).vxlanPort,
      firewall: ctx.host.facts.nftables ? 'nftables' : 'iptables',
      socket: `${runDirectory}/cni.sock`,
      stateDir: runDirectory,
    }),
  };
  return {
    component: name,
    version: program.version,
    artifacts: [program, plugins],
    command: [hostPaths.node, '--max-semi-space-size=1', programPath(name), `--config=${configuration.path}`],
    // It calls ip, bridge and nft. It is small, and there is one on each host: no heaps for threads that hardly allocate.
    env: { ...pathEnv(), MALLOC_ARENA_MAX: '1', UV_THREADPOOL_SIZE: '2' },
    directories: [...serviceDirectories(name), { path: runDirectory, mode: 0o700 }],
    files: [configuration, networkConfiguration()],
    secrets: [],
    certificates: [client],
    addresses: [],
    probe: {
      httpGet: { scheme: 'http', host: '127.0.0.1', port: healthPort, path: '/healthz' },
      ...probeDefaults,
    },
    stop: { signal: 'SIGTERM', graceMs: 5000 },
    oomScoreAdj: oomScore(ctx, -999),
    cgroups: [],
  };
}

/** In version 1.1.0, so that containerd asks STATUS: a Node is Ready only when its pods can be connected. */
function networkConfiguration(): FileSpec {
  const conflist = {
    cniVersion: '1.1.0',
    name: kernelNames.podNetwork,
    plugins: [{ type: 'rancher', capabilities: { portMappings: true, bandwidth: true } }],
  };
  return { path: `${hostPaths.cniConf}/10-rancher.conflist`, mode: 0o644, content: json(conflist) };
}

const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;
