import {
  type FileSpec,
  hostPaths,
  type InstanceSpec,
  probeDefaults,
  programArtifact,
  programPath,
  servicePath,
} from '@rancher/domain';
import type { Component, ComponentContext } from '../component.ts';
import { clusterDomain, dnsAddress, nodeLocalDnsAddress } from '../network.ts';
import { clientCertificate, serviceDirectories } from '../shared/certificates.ts';
import { apiServerUrl } from '../shared/kubeconfig.ts';
import { oomScore } from '../shared/process.ts';

const name = 'dns';
/** Who it is in the cluster; its rights are in `objects.ts`. */
export const dnsUser = 'rancher:dns';
/** On loopback: health and metrics. */
const httpPort = 10053;

export const dns: Component = {
  name,
  placement: 'all',
  after: ['kube-apiserver', 'api-balancer'],
  ports: [httpPort],
  version: () => programArtifact(name).version,
  artifacts: () => [programArtifact(name)],
  spec,
};

function spec(ctx: ComponentContext): InstanceSpec {
  const client = clientCertificate(name, dnsUser);
  const configuration = configurationFile(ctx, client);
  const program = programArtifact(name);
  return {
    component: name,
    version: program.version,
    artifacts: [program],
    command: [hostPaths.node, '--max-semi-space-size=2', programPath(name), `--config=${configuration.path}`],
    env: { MALLOC_ARENA_MAX: '1', UV_THREADPOOL_SIZE: '2' },
    directories: serviceDirectories(name),
    files: [configuration],
    secrets: [],
    certificates: [client],
    addresses: listenAddresses(ctx),
    probe: {
      httpGet: { scheme: 'http', host: '127.0.0.1', port: httpPort, path: '/readyz' },
      ...probeDefaults,
    },
    stop: { signal: 'SIGTERM', graceMs: 5000 },
    oomScoreAdj: oomScore(ctx, -997),
    cgroups: [],
  };
}

/** The one that the Service leads to, and the Service's own, for pods of a host whose kube-proxy is away. */
function listenAddresses(ctx: ComponentContext): string[] {
  return [nodeLocalDnsAddress, dnsAddress(ctx.environment.serviceCidr)];
}

function configurationFile(
  ctx: ComponentContext,
  { caPath, certPath, keyPath }: { caPath: string; certPath: string; keyPath: string },
): FileSpec {
  const { podCidr, serviceCidr, options } = ctx.environment;
  const listen = listenAddresses(ctx);
  const configuration = {
    listen,
    port: 53,
    httpPort,
    allow: [podCidr, '127.0.0.0/8', `${ctx.host.address}/32`],
    domain: clusterDomain,
    serverAddress: dnsAddress(serviceCidr),
    cidrs: [podCidr, serviceCidr],
    kubernetes: { server: apiServerUrl, caPath, certPath, keyPath },
    // Servers that lead back here are left out, so that no question goes round in a circle.
    nameservers:
      options.dns?.nameservers ?? (ctx.host.facts.nameservers ?? []).filter((s) => !listen.includes(s)),
    stubDomains: options.dns?.stubDomains ?? {},
    ownNames: { domain: 'rancher.internal', path: hostPaths.metadata },
    snapshotPath: servicePath(name, 'snapshot.json'),
    threads: 0,
  };
  return {
    path: servicePath(name, 'config.json'),
    mode: 0o600,
    content: `${JSON.stringify(configuration, null, 2)}\n`,
  };
}
