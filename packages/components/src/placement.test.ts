import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { dns } from './dns/index.ts';
import { etcd } from './etcd/index.ts';
import { kubeApiserver } from './kube-apiserver/index.ts';
import { kubeControllerManager } from './kube-controller-manager/index.ts';
import { kubeProxy } from './kube-proxy/index.ts';
import { kubeScheduler } from './kube-scheduler/index.ts';
import { kubelet } from './kubelet/index.ts';
import { components } from './registry.ts';
import { bareFacts, contextOf } from './testing.ts';

const here = { name: 'node-1', address: bareFacts.address };
const others = [
  { name: 'node-2', address: '10.0.0.12' },
  { name: 'node-3', address: '10.0.0.13' },
];
const file = (spec: { files: { path: string; content: string }[] }, name: string) =>
  spec.files.find((f) => f.path.endsWith(`/${name}`))?.content ?? '';

describe('on one control plane host', () => {
  const ctx = contextOf(bareFacts);

  it('nobody waits for the lease of a predecessor', () => {
    expect(kubeControllerManager.spec(ctx).command).toContain('--leader-elect=false');
    expect(parse(file(kubeScheduler.spec(ctx), 'config.yaml')).leaderElection).toEqual({
      leaderElect: false,
    });
  });
});

describe('on three control plane hosts', () => {
  const ctx = contextOf(bareFacts, { etcd: [here, ...others], apiServers: [here, ...others] });
  ctx.environment.controlPlaneReplicas = 3;

  it('controllers and schedulers elect a leader', () => {
    expect(kubeControllerManager.spec(ctx).command).toContain('--leader-elect=true');
    expect(parse(file(kubeScheduler.spec(ctx), 'config.yaml')).leaderElection).toEqual({ leaderElect: true });
  });

  it('etcd starts with the members that its own was taken in among, and none of another’s data', () => {
    const initialCluster = 'node-1=https://10.0.0.11:2380,node-2=https://10.0.0.12:2380';
    const etcdMember = {
      dataDir: '/var/lib/etcd/etm_2',
      initialCluster,
      initialClusterState: 'existing',
      recoveredFrom: null,
    } as const;
    const spec = etcd.spec({ ...ctx, etcdMember });
    expect(spec.command).toContain(`--initial-cluster=${initialCluster}`);
    expect(spec.command).toContain('--initial-cluster-state=existing');
    expect(spec.command).toContain('--data-dir=/var/lib/etcd/etm_2');
    expect(spec.dataDirectories).toEqual(['/var/lib/etcd/etm_2']);
  });

  it('a recovered etcd makes its data once, of what the survivor had, as a cluster of its own', () => {
    const [dataDir, from] = ['/var/lib/etcd/etm_new', '/var/lib/etcd/etm_old'];
    const initialCluster = 'node-1=https://10.0.0.11:2380';
    const initialClusterState = 'existing' as const;
    const etcdMember = { dataDir, initialCluster, initialClusterState, recoveredFrom: from };
    const spec = etcd.spec({ ...ctx, etcdMember });
    expect(spec.command).toContain(`--data-dir=${dataDir}`);
    expect(spec.command.join(' ')).not.toContain('force-new-cluster');
    expect(spec.seed).toMatchObject({ path: dataDir, from });
    expect(spec.seed?.command).toEqual(
      expect.arrayContaining([
        `${from}/member/snap/db`,
        `--initial-cluster-token=${dataDir}`,
        `--initial-cluster=${initialCluster}`,
        '--bump-revision=1000000000',
        '--mark-compacted=true',
      ]),
    );
    expect(spec.dataDirectories).toEqual([dataDir, from, `${dataDir}.made`]);
  });

  it('a recovery of etcd starts anew what may know more than it, and nothing else', () => {
    const recovered = { ...ctx, environment: { ...ctx.environment, etcdRecovery: 'etm_new' } };
    const changed = components.filter(
      (c) => JSON.stringify(c.spec(ctx)) !== JSON.stringify(c.spec(recovered)),
    );
    expect(changed.map((c) => c.name).sort()).toEqual([
      'kube-apiserver',
      'kube-controller-manager',
      'kube-scheduler',
    ]);
  });

  it('the API server uses the member beside it', () => {
    expect(kubeApiserver.spec(ctx).command).toContain('--etcd-servers=https://127.0.0.1:2379');
  });
});

describe('away from the control plane', () => {
  const ctx = contextOf(bareFacts, {
    etcd: others,
    apiServers: others,
    holdsEtcd: false,
    etcdMember: null,
  });

  it.each([kubelet, kubeProxy])('$name dials the balancer of its own host', (component) => {
    const kubeconfig = parse(file(component.spec(ctx), 'kubeconfig'));
    expect(kubeconfig.clusters[0].cluster.server).toBe('https://127.0.0.1:6444');
  });

  it('an API server without etcd beside it knows all members', () => {
    expect(kubeApiserver.spec(ctx).command).toContain(
      '--etcd-servers=https://10.0.0.12:2379,https://10.0.0.13:2379',
    );
  });
});

describe('kube-proxy', () => {
  it.each([
    [true, 'nftables'],
    [false, 'iptables'],
  ])('with nftables %s uses %s', (nftables, mode) => {
    const spec = kubeProxy.spec(contextOf({ ...bareFacts, nftables }));
    expect(parse(file(spec, 'config.yaml'))).toMatchObject({ mode, conntrack: { maxPerCore: 0, min: 0 } });
  });
});

describe('DNS', () => {
  const configuration = (nameservers?: string[], options = {}) => {
    const { nameservers: _, ...facts } = bareFacts;
    const ctx = contextOf(nameservers === undefined ? facts : { ...facts, nameservers });
    const spec = dns.spec({ ...ctx, environment: { ...ctx.environment, options } });
    return JSON.parse(file(spec, 'config.json'));
  };

  it.each([
    [
      ['10.0.0.2', '192.0.0.53', '10.43.0.10', '10.0.0.3'],
      ['10.0.0.2', '10.0.0.3'],
    ],
    [['192.0.0.53'], []],
    [undefined, []],
  ])('with the host’s servers %j asks %j, never itself', (servers, asked) => {
    expect(configuration(servers).nameservers).toEqual(asked);
  });

  it('asks those that the environment names instead', () => {
    const options = { dns: { nameservers: ['9.9.9.9'], stubDomains: { 'corp.example': ['10.9.9.9:5353'] } } };
    expect(configuration(['10.0.0.2'], options)).toMatchObject(options.dns);
  });

  it('listens on the cluster DNS address too, and answers pods and the host alone', () => {
    expect(configuration()).toMatchObject({
      listen: ['192.0.0.53', '10.43.0.10'],
      allow: ['10.42.0.0/16', '127.0.0.0/8', expect.stringMatching(/^10\.0\.0\.\d+\/32$/)],
    });
  });
});
