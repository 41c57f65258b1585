/**
 * Five local hosts in two subnets, three of them with the control plane, while a Deployment and a StatefulSet are asked
 * and objects are written all the time: links and hosts are lost and return, hosts come and go.
 *
 * What Kubernetes itself needs: a Node is NotReady once its kubelet has been silent for 50 s (node-monitor-grace-period),
 * and only then Services lead past its pods. So while a host is gone some requests fail until then, and none after that;
 * when it returns, its pods count as ready until its kubelet has seen that they must be started again. While no host is
 * gone, none fails.
 */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { etcdLeader, etcdWithoutLeader } from '../support/etcd.ts';
import { createFaults, type Faults } from '../support/faults.ts';
import { loadBusybox } from '../support/images.ts';
import { createInstallation, type Installation, must, until } from '../support/installation.ts';
import { podsReady } from '../support/workload.ts';
import { FiveHosts, type Story, workload } from './world.ts';

const environment = 'five';

let rancher: Installation;
let faults: Faults;
let five: FiveHosts;

beforeAll(async () => {
  rancher = await createInstallation('five-hosts');
  faults = createFaults(rancher);
  await rancher.must(['up']);
  await rancher.must(['environment', 'rm', 'default', '--wait']);
  const hosts = { reconnectingAfterSeconds: 12, disconnectedAfterSeconds: 20, replaceEtcdAfterSeconds: 15 };
  const made = await rancher.api('POST', '/v1/environments', {
    name: environment,
    spec: { hosts: { local: 5, networks: ['default', 'other'] }, options: { hosts } },
  });
  const id = made.body.target.id as string;
  await until(
    'the environment is active',
    async () => {
      const { body } = await rancher.api('GET', `/v1/environments/${id}`);
      return body.status.state === 'active' && body.status.health === 'healthy';
    },
    300_000,
  );
  await loadBusybox(rancher, environment);
  await rancher.kubectl(['apply', '-f', '-'], { environment, input: workload });
  await podsReady(rancher, 'app=web', 5, environment);
  await podsReady(rancher, 'app=store', 3, environment);
  const urls = [];
  for (const service of ['web', 'store']) {
    const ip = ['get', 'service', service, '-o', 'jsonpath={.spec.clusterIP}'];
    urls.push(`http://${await rancher.kubectl(ip, { environment })}/`);
  }
  five = new FiveHosts(rancher, environment, id, urls);
});

afterEach(() => faults.healAll());
afterAll(async () => {
  await faults?.healAll();
  await rancher?.purge();
});

const kubernetes = async (...args: string[]) => rancher.kubectl(args, { environment });

async function nodeIsReady(name: string, wanted: boolean): Promise<void> {
  const ready = ['get', 'node', name, '-o', 'jsonpath={.status.conditions[?(@.type=="Ready")].status}'];
  await until(
    `Node ${name} is ${wanted ? '' : 'not '}Ready`,
    async () => ((await kubernetes(...ready)) === 'True') === wanted,
  );
}

/** Once a Node is known to be lost, or is back, its pods are known to be. */
const noneFails = (client: string) =>
  until('no request fails any more', async () => {
    const { failures } = await five.during(client, async (objects) => {
      await objects.more(10);
    });
    return failures.length === 0;
  });

async function computeHosts(): Promise<string[]> {
  const etcd = await five.etcdHosts();
  return (await five.hosts())
    .map((h) => h.name)
    .filter((name) => !etcd.includes(name))
    .sort();
}

/** etcd has three members, none of them on that host, and each is healthy. */
const membersWithout = (host: string) =>
  until(
    `etcd has three members without ${host}`,
    async () => {
      const members = await five.etcd();
      return members.length === 3 && members.every((m) => m.host !== host && m.health === 'healthy');
    },
    180_000,
  );

const sentences = (...all: string[]) => expect.arrayContaining(all.map((s) => expect.stringMatching(s)));

test('cut from each other alone: the leader of etcd and another member', async () => {
  const since = Date.now();
  const leader = (await etcdLeader(rancher, environment)).host;
  const other = (await five.etcdHosts()).find((name) => name !== leader)!;
  const [client] = await computeHosts();
  const lived = await five.during(client!, async (objects) => {
    const fault = await faults.cutBetween(leader, other);
    expect((await etcdWithoutLeader(rancher, environment)).host).toBe(other);
    await objects.more(20);
    await fault.heal();
    expect(await five.whole(5)).toEqual([]);
  });
  process.stdout.write(`cut between ${leader} and ${other}: ${JSON.stringify(lived)}\n`);
  expect(lived.failures).toEqual([]);
  // Both are there, for the server and for the third; and of the API servers two are ready.
  expect((await five.told(since)).filter((e) => /^Host|^EtcdMember|^ApiServer/.test(e))).toEqual([]);
});

test('switched off: the host with the leader of etcd, whose member is replaced, and which returns without it', async () => {
  const since = Date.now();
  const leader = (await etcdLeader(rancher, environment)).host;
  const [client] = await computeHosts();
  const lived = await five.during(client!, async (objects) => {
    await rancher.must(['host', 'power-off', leader, '-e', environment, '--wait']);
    await objects.more(10);
    await membersWithout(leader);
  });
  process.stdout.write(`${leader} off: ${summary(lived, since)}\n`);
  const again = Date.now();
  const back = await five.during(client!, async () => {
    await rancher.must(['host', 'power-on', leader, '-e', environment, '--wait']);
    expect(await five.whole(5)).toEqual([]);
    await nodeIsReady(leader, true);
  });
  process.stdout.write(`${leader} on again: ${summary(back, again)}\n`);
  await noneFails(client!);
  expect(await five.on(leader, 'etcd')).toEqual([]);
  expect(await agentLog(leader)).toContain('the server has said what is to run');
  expect(await five.told(since)).toEqual(
    sentences(
      `HostPoweredOff: ${leader} was switched off, as by pulling the plug`,
      `HostReconnecting: ${leader} has been silent for .* and is waited for`,
      `HostDisconnected: ${leader} has been silent for .* and counts as lost`,
      `HostNotReached: .* cannot reach ${leader} either: it is down, or cut off. Its machine has it off`,
      `EtcdMemberRemoved: .*${leader}.* was removed from etcd`,
      'EtcdMemberAdded: .* was added to etcd as a learner',
      'EtcdMemberPromoted: .* has caught up, and votes in etcd',
      `HostPoweredOn: ${leader} was switched on`,
      `HostConnected: ${leader} is connected again after .* of silence`,
    ),
  );
});

test('switched off: two compute hosts at once, which is too few for the brake', async () => {
  const since = Date.now();
  const [one, two] = (await computeHosts()) as [string, string];
  const client = (await five.etcdHosts())[0]!;
  const lived = await five.during(client, async (objects) => {
    await Promise.all(
      [one, two].map((name) => rancher.must(['host', 'power-off', name, '-e', environment, '--wait'])),
    );
    for (const name of [one, two]) await five.inState(name, 'disconnected');
    const { body } = await rancher.api('GET', `/v1/environments/${five.id}`);
    expect(body.status.conditions).toContainEqual(
      expect.objectContaining({ type: 'Brake', status: 'False', message: 'No brake is on' }),
    );
    await objects.more(10);
    for (const name of [one, two]) await nodeIsReady(name, false);
  });
  process.stdout.write(`${one} and ${two} off: ${summary(lived, since)}\n`);
  await noneFails(client);
  await Promise.all(
    [one, two].map((name) => rancher.must(['host', 'power-on', name, '-e', environment, '--wait'])),
  );
  expect(await five.whole(5)).toEqual([]);
  expect((await five.told(since)).filter((e) => /^(Brake|EtcdMember)/.test(e))).toEqual([]);
});

test('cut off wholly: a host with a member of etcd, which runs on and is let go meanwhile', async () => {
  const since = Date.now();
  const cut = (await five.etcdHosts())[1]!;
  const [client] = await computeHosts();
  await podsReady(rancher, 'app=web', 5, environment);
  const lived = await five.during(client!, async (objects) => {
    const fault = await faults.cutOff(cut);
    await objects.more(10);
    await membersWithout(cut);
    expect(await five.condition(cut, 'Reachable')).toMatchObject({ status: 'False' });
    await fault.heal();
    await five.inState(cut, 'active');
    await until(`etcd has left ${cut}`, async () => (await five.on(cut, 'etcd')).length === 0);
  });
  process.stdout.write(`${cut} cut off: ${summary(lived, since)}\n`);
  await noneFails(client!);
  expect(await five.whole(5)).toEqual([]);
  expect(await five.told(since)).toEqual(
    sentences(
      `HostDisconnected: ${cut} has been silent for .* and counts as lost`,
      `HostNotReached: .* cannot reach ${cut} either: it is down, or cut off$`,
      `EtcdMemberRemoved: .*${cut}.* was removed from etcd`,
      `HostConnected: ${cut} is connected again after .* of silence`,
    ),
  );
});

test('a sixth host comes under load, takes some of it, and goes without a trace', async () => {
  const since = Date.now();
  const before = await traces();
  const client = (await five.etcdHosts())[0]!;
  const name = 'five-6';
  const lived = await five.during(client, async (objects) => {
    await rancher.must(['host', 'add', '-e', environment, '--local', '--name', name, '--wait']);
    await loadBusybox(rancher, environment);
    await kubernetes('scale', 'deployment', 'web', '--replicas', '12');
    await podsReady(rancher, 'app=web', 12, environment);
    const nodes = ['get', 'pods', '-l', 'app=web', '-o', 'jsonpath={.items[*].spec.nodeName}'];
    expect((await kubernetes(...nodes)).split(' ')).toContain(name);
    await objects.more(10);
    expect(await five.whole(6)).toEqual([]);
    await rancher.must(['host', 'remove', name, '-e', environment, '--wait']);
    await podsReady(rancher, 'app=web', 12, environment);
    await kubernetes('scale', 'deployment', 'web', '--replicas', '5');
    await podsReady(rancher, 'app=web', 5, environment);
    expect(await five.whole(5)).toEqual([]);
  });
  process.stdout.write(`${name} came and went: ${summary(lived, since)}\n`);
  expect(lived.failures).toEqual([]);
  expect(await kubernetes('get', 'nodes', '-o', 'name')).not.toContain(name);
  expect(await traces()).toEqual(before);
  expect(await five.told(since)).toEqual(
    sentences(
      `HostRegistered: ${name} registered: `,
      `HostCordoned: ${name} takes no new pods`,
      `HostDrained: \\d+ pods have left ${name}`,
      `HostRemoved: ${name} was wiped and removed`,
      `OperationFinished: host.remove of host ${name} took `,
    ),
  );
});

test('evacuated: a host with a member of etcd is left by everything, and comes back', async () => {
  const since = Date.now();
  const [client, away] = (await five.etcdHosts()) as [string, string];
  const lived = await five.during(client, async (objects) => {
    await rancher.must(['host', 'evacuate', away, '-e', environment, '--wait']);
    expect(await five.on(away)).toEqual([]);
    expect(await kubernetes('get', 'nodes', '-o', 'name')).not.toContain(away);
    expect(await processesOf(away)).toEqual([]);
    expect(await processesOf(client)).not.toEqual([]);
    await membersWithout(away);
    await objects.more(10);
    expect(await five.whole(5)).toEqual([]);
    await rancher.must(['host', 'uncordon', away, '-e', environment, '--wait']);
    await nodeIsReady(away, true);
    expect(await five.whole(5)).toEqual([]);
    await kubernetes('scale', 'deployment', 'web', '--replicas', '10');
    await podsReady(rancher, 'app=web', 10, environment);
  });
  process.stdout.write(`${away} evacuated: ${summary(lived, since)}\n`);
  expect(lived.failures).toEqual([]);
  const nodes = ['get', 'pods', '-l', 'app=web', '-o', 'jsonpath={.items[*].spec.nodeName}'];
  expect((await kubernetes(...nodes)).split(' ')).toContain(away);
  expect(await five.told(since)).toEqual(
    sentences(
      `HostDrained: \\d+ pods have left ${away}`,
      `EtcdMemberRemoved: .*${away}.* was removed from etcd`,
      `InstanceRemoved: .*kubelet.*${away} is evacuated`,
      `OperationFinished: host.evacuate of host ${away} took `,
      `HostUncordoned: ${away} takes new pods again`,
    ),
  );
});

test('a disk is full: that of the leader of etcd, until there is room again', async () => {
  const since = Date.now();
  const [client] = await computeHosts();
  const leader = await etcdLeader(rancher, environment);
  const name = leader.host;
  const lived = await five.during(client!, async (objects) => {
    // Stopped meanwhile, so that what is copied is what it has told others; and then it begins on the small disk.
    process.kill(leader.pid!, 'SIGSTOP');
    const disk = await faults.smallDisk(name, '/var/lib/etcd', 300);
    expect(await readFile(`/proc/${leader.pid}/stat`, 'utf8')).toMatch(/\) [Tt] /);
    process.kill(leader.pid!, 'SIGKILL');
    const member = async () => (await five.on(name, 'etcd')).find((i) => i.id !== leader.id);
    await until(`etcd is back on ${name}`, async () => (await member())?.health === 'healthy');
    await disk.fill();
    await until(`${name} says that its disk is full`, async () => {
      const pressure = await five.condition(name, 'DiskPressure');
      return pressure?.status === 'True' && /\/var\/lib\/etcd/.test(pressure.message);
    });
    // etcd goes on in what it has laid by; it is at its end with what is larger than that.
    await objects.more(20);
    await until('etcd ends for want of room', async () => {
      await five.writeLarge();
      return (await five.told(since)).some((e) => /^Instance.*etcd.*no space left on device/s.test(e));
    });
    await objects.more(20);
    await disk.free();
    expect(await five.whole(5)).toEqual([]);
  });
  process.stdout.write(`the disk of ${name} full: ${summary(lived, since)}\n`);
  expect(lived.failures).toEqual([]);
  await until('it is told that there is room', async () =>
    (await five.told(since)).some((e) => e.startsWith('DiskFreed')),
  );
  expect(await five.told(since)).toEqual(sentences(`DiskFull: ${name}: The disk of /var/lib/etcd has `));
});

/** How many requests failed, by when they were sent: in each ten seconds since a moment. */
function summary({ asked, failures }: Story, from: number): string {
  const tens = Map.groupBy(failures, (f) => Math.floor((f.at - from) / 10_000) * 10);
  const when = [...tens].map(([second, all]) => `${second} s: ${all.length} (${all[0]!.what})`);
  return `${failures.length} failures of at least ${asked} requests to each service. ${when.join(', ')}`;
}

interface Local {
  name: string;
  folder: string;
}
const locals = async () =>
  JSON.parse(await readFile(join(rancher.home, 'local-hosts.json'), 'utf8')) as Local[];

async function agentLog(host: string): Promise<string> {
  const { folder } = (await locals()).find((l) => l.name === host)!;
  return readFile(join(rancher.home, 'hosts', folder, 'var/log/rancher-agent.log'), 'utf8');
}

/** Processes of a host besides its agent's, by its cgroups. */
async function processesOf(host: string): Promise<string[]> {
  const { folder } = (await locals()).find((l) => l.name === host)!;
  const id = createHash('sha256').update(rancher.home).digest('hex').slice(0, 8);
  const files = ['-path', `*/rancher-${id}/${folder}/*/cgroup.procs`, '-not', '-path', '*/agent/*'];
  const pids = await must('find', ['/sys/fs/cgroup', ...files, '-exec', 'cat', '{}', '+']);
  return [...new Set(pids.split('\n').filter((pid) => pid !== ''))];
}

/** What local hosts leave on a machine, by name: folders, mounts, links, network namespaces, cgroups, rules. */
async function traces(): Promise<Record<string, string[]>> {
  const lines = async (command: string, ...args: string[]) =>
    (await must(command, args)).split('\n').filter((line) => line !== '');
  const mounts = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n');
  const cgroups = await lines('find', '/sys/fs/cgroup', '-maxdepth', '3', '-type', 'd', '-name', 'five-*');
  return {
    records: (await locals()).map((l) => l.name).sort(),
    folders: (await readdir(join(rancher.home, 'hosts'))).sort(),
    mounts: mounts
      .filter((line) => line.includes(rancher.home))
      .map((line) => line.split(' ')[4]!)
      .sort(),
    links: (await lines('ip', '-brief', 'link')).map((line) => line.split(/[@ ]/)[0]!).sort(),
    namespaces: (await readdir('/run/netns').catch(() => [])).sort(),
    cgroups: cgroups.sort(),
    tables: (await lines('nft', 'list', 'tables')).sort(),
  };
}
