/**
 * Failover: a host of three with a control plane is powered off as by pulling its plug (no word of it goes out), and a
 * client on another host goes on asking the Kubernetes API through that host's balancer. Measured once with a host whose
 * member of etcd follows, and once with the one that leads: then etcd elects anew, which takes it a second or so.
 */
import { type AskingClient, askFrom } from '../../test/e2e/support/asking-client.ts';
import { etcdLeader } from '../../test/e2e/support/etcd.ts';
import { type Installation, until } from '../../test/e2e/support/installation.ts';
import { withInstallation } from '../installation.ts';
import { type BenchmarkReport, report } from '../report.ts';

export const runs = 3;

const environment = 'failover';
const hosts = ['failover-1', 'failover-2', 'failover-3'];

interface Measured {
  /** Longest time between two good answers that the client saw. */
  gapMs: number;
  /** Requests of the client that failed. */
  failures: number;
  /** From power-off until the server called the host reconnecting. */
  noticedMs: number;
}

async function settled(rancher: Installation): Promise<void> {
  await until(
    'everything is healthy',
    async () => {
      const rows = await rancher.instances(environment);
      return rows.length > 0 && rows.every((i) => i.health === 'healthy');
    },
    240_000,
  );
}

async function powerOff(rancher: Installation, host: string): Promise<Measured> {
  const witness = hosts.find((h) => h !== host)!;
  const client: AskingClient = await askFrom(rancher, environment, witness);
  const struck = Date.now();
  await rancher.must(['host', 'power-off', host, '-e', environment, '--wait']);
  const noticed = await until('the server has noticed', async () =>
    (await rancher.events(environment)).find(
      (e) => e.reason === 'HostReconnecting' && e.message.includes(host) && Date.parse(e.createdAt) >= struck,
    ),
  );
  const heard = await client.end();
  await rancher.must(['host', 'power-on', host, '-e', environment, '--wait']);
  await settled(rancher);
  return {
    gapMs: heard.longestGapMs,
    failures: heard.failures.length,
    noticedMs: Date.parse(noticed.createdAt) - struck,
  };
}

export async function run(count: number): Promise<BenchmarkReport[]> {
  const following: Measured[] = [];
  const leading: Measured[] = [];
  await withInstallation('failover', async (rancher) => {
    await rancher.must(['environment', 'rm', 'default', '--wait']);
    await rancher.must(['environment', 'create', environment, '--hosts', '3', '--wait']);
    for (let i = 0; i < count; i += 1) {
      await settled(rancher);
      const leader = (await etcdLeader(rancher, environment)).host;
      following.push(await powerOff(rancher, hosts.find((h) => h !== leader)!));
      leading.push(await powerOff(rancher, (await etcdLeader(rancher, environment)).host));
    }
  });
  return [
    report({
      benchmark: 'failover: power-off of one of three control plane hosts, seen by a client on another',
      aim: 'API gap under 1 s',
      samples: {
        gapMs: following.map((m) => m.gapMs),
        gapWithLeaderMs: leading.map((m) => m.gapMs),
        failures: following.map((m) => m.failures),
        failuresWithLeader: leading.map((m) => m.failures),
        noticedMs: [...following, ...leading].map((m) => m.noticedMs),
      },
      notes: ['noticedMs: until the server calls the host reconnecting, 15 s after its last word'],
    }),
  ];
}
