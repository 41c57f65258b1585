import { artifactPath, type FileSpec, type InstanceSpec, probeDefaults, servicePath } from '@rancher/domain';
import type { Component, ComponentContext } from '../component.ts';
import { clusterDomain, dnsAddress, nodeLocalDnsAddress } from '../network.ts';
import { clientCertificate, serviceDirectories } from '../shared/certificates.ts';
import { kubeconfigFile } from '../shared/kubeconfig.ts';
import { flags, oomScore } from '../shared/process.ts';
import { companionsOf } from '../versions.ts';

const name = 'coredns';
export const corednsUser = 'system:coredns';
const healthPort = 10053;
const metricsPort = 10054;

export const coredns: Component = {
  name,
  placement: 'all',
  after: ['kube-apiserver'],
  version: (kubernetesVersion) => companionsOf(kubernetesVersion).coredns,
  artifacts: (kubernetesVersion) => [{ name, version: companionsOf(kubernetesVersion).coredns }],
  spec,
};

function spec(ctx: ComponentContext): InstanceSpec {
  const version = companionsOf(ctx.environment.kubernetesVersion).coredns;
  const client = clientCertificate(name, corednsUser);
  const kubeconfig = kubeconfigFile(ctx, name, client);
  const corefile = corefileOf(ctx, kubeconfig.path);
  return {
    component: name,
    version,
    artifacts: [{ name, version }],
    command: [artifactPath({ name, version }, name), ...flags({ conf: corefile.path })],
    env: {},
    directories: serviceDirectories(name),
    files: [corefile, kubeconfig],
    secrets: [],
    certificates: [client],
    addresses: [nodeLocalDnsAddress],
    probe: {
      httpGet: { scheme: 'http', host: '127.0.0.1', port: healthPort, path: '/health' },
      ...probeDefaults,
    },
    stop: { signal: 'SIGTERM', graceMs: 5000 },
    oomScoreAdj: oomScore(ctx, -997),
    cgroups: [],
  };
}

/** One block for what the cluster knows (its domain, and the addresses of pods and services), one for all the rest. */
function corefileOf(ctx: ComponentContext, kubeconfig: string): FileSpec {
  const { podCidr, serviceCidr } = ctx.environment;
  const zones = [clusterDomain, podCidr, serviceCidr].join(' ');
  return {
    path: servicePath(name, 'Corefile'),
    mode: 0o600,
    content: `${zones} {
  bind ${nodeLocalDnsAddress}
  errors
  health 127.0.0.1:${healthPort}
  prometheus 127.0.0.1:${metricsPort}
  kubernetes ${zones} {
    kubeconfig ${kubeconfig}
    pods verified
    ttl 30
  }
  loadbalance
}

. {
  bind ${nodeLocalDnsAddress}
  errors
${outside(ctx)}
}
`,
  };
}

/**
 * Names outside the cluster. Servers that lead back here are left out, so that no query goes round in a circle. Where
 * there is no server, the answer is SERVFAIL at once: better than a timeout, and unlike NXDOMAIN not a lie.
 */
function outside(ctx: ComponentContext): string {
  const own = [nodeLocalDnsAddress, dnsAddress(ctx.environment.serviceCidr)];
  const servers = (ctx.host.facts.nameservers ?? []).filter((server) => !own.includes(server));
  if (servers.length === 0) return '  template ANY ANY {\n    rcode SERVFAIL\n  }';
  return `  cache 30
  forward . ${servers.join(' ')} {
    max_concurrent 1000
    failfast_all_unhealthy_upstreams
  }`;
}
