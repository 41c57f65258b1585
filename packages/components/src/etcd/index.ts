import {
  artifactPath,
  hostPaths,
  type InstanceSpec,
  probeDefaults,
  type SeedSpec,
  seedMarker,
  seedTarget,
} from '@rancher/domain';
import type { Component, ComponentContext, EtcdMember } from '../component.ts';
import { withDefaults } from '../options.ts';
import { certificate, serviceDirectories } from '../shared/certificates.ts';
import { flags, oomScore } from '../shared/process.ts';
import { companionsOf } from '../versions.ts';

const name = 'etcd';
export const etcdClientPort = 2379;
const peerPort = 2380;
/** How members of etcd reach the one at that address. */
export const etcdPeerUrl = (address: string) => `https://${address}:${peerPort}`;
/** Where the data of a member is kept: a folder for each, so that what one left is never taken up by another. */
export const etcdDataDir = (memberId: string) => `${hostPaths.etcd}/${memberId}`;

/** Loopback only, plain HTTP: health and metrics. */
const metricsPort = 2381;

export const etcd: Component = {
  name,
  placement: 'etcd',
  after: [],
  ports: [etcdClientPort, peerPort, metricsPort],
  version: (kubernetesVersion) => companionsOf(kubernetesVersion).etcd,
  artifacts: (kubernetesVersion) => [{ name, version: companionsOf(kubernetesVersion).etcd }],
  spec,
};

function spec(ctx: ComponentContext): InstanceSpec {
  const member = ctx.etcdMember;
  if (member === null)
    throw new Error(`${ctx.host.name} is no member of etcd: nothing can be rendered for it`);
  const version = companionsOf(ctx.environment.kubernetesVersion).etcd;
  return {
    component: name,
    version,
    artifacts: [{ name, version }],
    command: [artifactPath({ name, version }, 'etcd'), ...etcdFlags(ctx, member)],
    env: {},
    directories: [...serviceDirectories(name), { path: hostPaths.etcd, mode: 0o700 }],
    ...dataOf(ctx, member),
    files: [],
    secrets: [],
    certificates: Object.values(certificatesOf(ctx)),
    addresses: [],
    // Its own view, without quorum: to restart a member that merely lost the others would not help them.
    probe: {
      httpGet: { scheme: 'http', host: '127.0.0.1', port: metricsPort, path: '/livez' },
      ...probeDefaults,
    },
    stop: { signal: 'SIGTERM', graceMs: 10_000 },
    oomScoreAdj: oomScore(ctx, -997),
    cgroups: [],
  };
}

/** How far the revision of recovered data goes ahead: farther than anything that was written and is lost (etcd's own advice). */
const revisionBump = 1_000_000_000;

function dataOf(ctx: ComponentContext, member: EtcdMember): Pick<InstanceSpec, 'dataDirectories' | 'seed'> {
  const { dataDir: path, recoveredFrom: from } = member;
  if (from === null) return { dataDirectories: [path] };
  return {
    dataDirectories: [path, from, seedMarker(path)],
    seed: { path, from, command: recovery(ctx, member, from) },
  };
}

/**
 * Makes the data of a cluster of its own from what a member of another had: the members of before are not in it and, as it
 * has another cluster id, can neither join nor be joined. Every watch of before is told to list anew, as what it has seen
 * may be lost (etcd's documentation, "Disaster recovery": `--bump-revision`, `--mark-compacted`).
 */
function recovery(ctx: ComponentContext, member: EtcdMember, from: string): SeedSpec['command'] {
  const version = companionsOf(ctx.environment.kubernetesVersion).etcd;
  return [
    artifactPath({ name, version }, 'etcdutl'),
    ...['snapshot', 'restore', `${from}/member/snap/db`],
    ...flags({
      // A database that is copied has no hash at its end.
      'skip-hash-check': true,
      'data-dir': seedTarget,
      name: ctx.host.name,
      'initial-cluster': member.initialCluster,
      'initial-cluster-token': member.dataDir,
      'initial-advertise-peer-urls': etcdPeerUrl(ctx.host.address),
      'bump-revision': revisionBump,
      'mark-compacted': true,
    }),
  ];
}

function certificatesOf(ctx: ComponentContext) {
  const names = {
    authority: 'etcd' as const,
    commonName: ctx.host.name,
    dnsNames: ['localhost', ctx.host.name],
    ipAddresses: ['127.0.0.1', ctx.host.address],
    usages: ['server' as const, 'client' as const],
  };
  return { server: certificate(name, 'server', names), peer: certificate(name, 'peer', names) };
}

/**
 * Members elect anew once they have heard nothing of their leader for one to two times the timeout, and until then nothing
 * is written: etcd's default of 1,000 ms made that more than a second. It must be five heartbeats at least, and ten times
 * the round trip between members (etcd's tuning guide), which leaves them 70 ms.
 */
const heartbeatMs = 100;
const electionTimeoutMs = 700;

function etcdFlags(ctx: ComponentContext, member: EtcdMember): string[] {
  const { server, peer } = certificatesOf(ctx);
  const own = ctx.host.address;
  return flags({
    name: ctx.host.name,
    'data-dir': member.dataDir,
    'listen-client-urls': `https://127.0.0.1:${etcdClientPort},https://${own}:${etcdClientPort}`,
    'advertise-client-urls': `https://${own}:${etcdClientPort}`,
    'listen-peer-urls': etcdPeerUrl(own),
    'initial-advertise-peer-urls': etcdPeerUrl(own),
    'initial-cluster': member.initialCluster,
    'initial-cluster-state': member.initialClusterState,
    'initial-cluster-token': ctx.environment.id,
    'listen-metrics-urls': `http://127.0.0.1:${metricsPort}`,
    'cert-file': server.certPath,
    'key-file': server.keyPath,
    'trusted-ca-file': server.caPath,
    'client-cert-auth': true,
    'peer-cert-file': peer.certPath,
    'peer-key-file': peer.keyPath,
    'peer-trusted-ca-file': peer.caPath,
    'peer-client-cert-auth': true,
    // The API server compacts what is its own every five minutes; this bounds what others write.
    'auto-compaction-mode': 'periodic',
    'auto-compaction-retention': '8h',
    'quota-backend-bytes': withDefaults(ctx.environment.options).etcdQuotaMegabytes * 1024 * 1024,
    'heartbeat-interval': heartbeatMs,
    'election-timeout': electionTimeoutMs,
    'log-level': 'warn',
  });
}
