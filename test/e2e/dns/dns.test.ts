/** Names as pods see them, on two hosts, while what they depend on is taken away. */
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TestUpstream } from '../../../apps/dns/src/testing-upstream.ts';
import { createFaults, type Faults } from '../support/faults.ts';
import { busyboxImage, loadBusybox } from '../support/images.ts';
import { createInstallation, type Installation, run, until } from '../support/installation.ts';
import { podsReady, webManifest } from '../support/workload.ts';

interface Host {
  name: string;
  address: string;
  init: { pid: number };
}

const dnsAddress = '10.43.0.10';
let rancher: Installation;
let faults: Faults;
let hosts: [Host, Host];
let upstream: TestUpstream;

beforeAll(async () => {
  rancher = await createInstallation('dns');
  faults = createFaults(rancher);
  await rancher.must(['up']);
  await rancher.must(['host', 'add', '--local', '--wait']);
  await until('both hosts run everything', async () => {
    const rows = await rancher.instances();
    return (
      rows.filter((r) => r.component === 'dns').length === 2 && rows.every((r) => r.health === 'healthy')
    );
  });
  hosts = JSON.parse(await readFile(join(rancher.home, 'local-hosts.json'), 'utf8')) as [Host, Host];
  await loadBusybox(rancher);
  await rancher.kubectl(['apply', '-f', '-'], { input: statefulSet() });
  await rancher.kubectl(['apply', '-f', '-'], { input: webManifest('web', 1) });
  await rancher.kubectl(['create', 'service', 'externalname', 'outside', '--external-name', 'www.corp.test']);
  await podsReady(rancher, 'app=mongodb', 2);
  await podsReady(rancher, 'app=web', 1);
});

afterAll(async () => {
  await faults?.healAll();
  upstream?.stop();
  await rancher?.purge();
});

/** Two pods with names, one on each host. */
function statefulSet(): string {
  const labels = { app: 'mongodb' };
  const affinity = {
    podAntiAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: [
        { labelSelector: { matchLabels: labels }, topologyKey: 'kubernetes.io/hostname' },
      ],
    },
  };
  const container = { name: 'db', image: busyboxImage, imagePullPolicy: 'Never', command: ['sleep', '3600'] };
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'List',
    items: [
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'mongodb' },
        spec: { clusterIP: 'None', selector: labels, ports: [{ name: 'mongo', port: 27017 }] },
      },
      {
        apiVersion: 'apps/v1',
        kind: 'StatefulSet',
        metadata: { name: 'mdb' },
        spec: {
          serviceName: 'mongodb',
          replicas: 2,
          podManagementPolicy: 'Parallel',
          selector: { matchLabels: labels },
          template: {
            metadata: { labels },
            spec: { affinity, terminationGracePeriodSeconds: 1, containers: [container] },
          },
        },
      },
    ],
  });
}

const inHost = (host: Host) => ['-t', String(host.init.pid), '-n', '-m'];
const node = '/run/rancher/node';
/** As patient as a C library by default (resolv.conf(5)): a machine may be busy. */
const resolver = `const r = new (require('dns').promises.Resolver)({ timeout: 5000, tries: 2 }); r.setServers(['${dnsAddress}']);`;

/** Asks the cluster DNS address as a process of a host. Rejects with the resolver's code, such as ENOTFOUND. */
async function ask(host: Host, name: string, type = 'A'): Promise<unknown> {
  const script = `${resolver} r.resolve('${name}', '${type}').then((a) => console.log(JSON.stringify(a)), (e) => { console.error(e.code); process.exit(1); })`;
  const { code, stdout, stderr } = await run('nsenter', [...inHost(host), node, '-e', script]);
  if (code !== 0) throw new Error(stderr.trim());
  return JSON.parse(stdout);
}

/** Keeps asking on a host, and gives how often it got an answer and how often it did not when it is stopped. */
function keepAsking(host: Host, name: string) {
  const script = `${resolver} let ok = 0, failed = 0, first = ''; let on = true;
    process.on('SIGTERM', () => { on = false; });
    (async () => { while (on) {
      await r.resolve4('${name}').then(() => ok++, (e) => { failed++; first ||= e.code; });
      await new Promise((next) => setTimeout(next, 20));
    } console.log(JSON.stringify({ ok, failed, first })); })();`;
  const child = spawn('nsenter', [...inHost(host), node, '-e', script], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let output = '';
  child.stdout.on('data', (chunk) => {
    output += chunk;
  });
  return async () => {
    const ended = new Promise((resolve) => child.once('close', resolve));
    child.kill('SIGTERM');
    await ended;
    return JSON.parse(output) as { ok: number; failed: number; first: string };
  };
}

async function instance(component: string, host: Host) {
  return (await rancher.instances()).find(
    (i) => i.component === component && i.host === host.name && i.state === 'running',
  );
}

const service = 'mongodb.default.svc.cluster.local';

describe('names', () => {
  test('of named pods, their ports and addresses, are the same on each host', async () => {
    for (const host of hosts) {
      const [one] = (await ask(host, `mdb-1.${service}`)) as string[];
      expect(await ask(host, service)).toContain(one);
      expect(await ask(host, `_mongo._tcp.${service}`, 'SRV')).toContainEqual(
        expect.objectContaining({ name: `mdb-1.${service}`, port: 27017 }),
      );
      const reverse = `${one!.split('.').reverse().join('.')}.in-addr.arpa`;
      expect(await ask(host, reverse, 'PTR')).toEqual([`mdb-1.${service}`]);
      await expect(ask(host, 'none.default.svc.cluster.local')).rejects.toThrow('ENOTFOUND');
      await expect(ask(host, service, 'AAAA')).rejects.toThrow('ENODATA');
    }
  });

  test('of the system stack lead to the hosts that run it', async () => {
    await until('both are told', async () => {
      const addresses = (await ask(hosts[0], 'dns.kubernetes.rancher.internal')) as string[];
      return (
        addresses.sort().join() ===
        hosts
          .map((h) => h.address)
          .sort()
          .join()
      );
    });
    expect(await ask(hosts[1], 'kube-apiserver.kubernetes.rancher.internal')).toEqual([hosts[0].address]);
  });

  test('are found by a pod as it writes them, through its search path', async () => {
    for (const name of ['web', 'web.default', 'web.default.svc', 'web.default.svc.cluster.local']) {
      const get = ['timeout', '10', 'wget', '-qO-', `http://${name}`];
      expect(await rancher.kubectl(['exec', 'mdb-1', '--', ...get]), name).toMatch(/^web-/);
    }
    const resolv = await rancher.kubectl(['exec', 'mdb-1', '--', 'cat', '/etc/resolv.conf']);
    expect(resolv).toContain(`nameserver ${dnsAddress}`);
    expect(resolv).toContain('ndots:5');
  });

  test('of domains that the environment names servers for are asked there, aliases too', async () => {
    // Where hosts reach the machine: there they reach the server too.
    const folder = `hosts/${hosts[0].name}/var/lib/rancher-agent/config.json`;
    const config = JSON.parse(await readFile(join(rancher.home, folder), 'utf8')) as { serverUrl: string[] };
    upstream = await TestUpstream.start(new URL(config.serverUrl[0]!).hostname);
    upstream.reply = (name) => ({ answers: [{ type: 'A', name, ttl: 60, data: '192.0.2.53' }] });
    const [environment] = (await rancher.api('GET', '/v1/environments')).body.items;
    const key = (await readFile(join(rancher.home, 'admin.key'), 'utf8')).trim();
    const changed = await fetch(`${rancher.url}/v1/environments/${environment.id}`, {
      method: 'PATCH',
      headers: {
        authorization: `Bearer ${key}`,
        'content-type': 'application/merge-patch+json',
        'if-match': '*',
      },
      body: JSON.stringify({
        spec: { options: { dns: { stubDomains: { 'corp.test': [upstream.address] } } } },
      }),
    });
    expect(changed.status, await changed.clone().text()).toBeLessThan(300);
    for (const host of hosts) {
      await until('it is asked', async () => (await ask(host, 'a.corp.test')) !== undefined);
      expect(await ask(host, 'outside.default.svc.cluster.local')).toEqual(['192.0.2.53']);
    }
  });
});

describe('when something is away', () => {
  test('the API server: names are told as before', async () => {
    const server = await instance('kube-apiserver', hosts[0]);
    const stop = keepAsking(hosts[0], `mdb-1.${service}`);
    process.kill(server!.pid!, 'SIGKILL');
    await until('it is replaced', async () => {
      const next = await instance('kube-apiserver', hosts[0]);
      return next !== undefined && next.id !== server!.id && next.health === 'healthy';
    });
    const { ok, failed, first } = await stop();
    expect({ failed, first }).toEqual({ failed: 0, first: '' });
    expect(ok).toBeGreaterThan(10);
  });

  test('the DNS server itself: it is back, with the names', async () => {
    const before = await instance('dns', hosts[1]);
    process.kill(before!.pid!, 'SIGKILL');
    await until('it is replaced', async () => {
      const next = await instance('dns', hosts[1]);
      return next !== undefined && next.id !== before!.id && next.health === 'healthy';
    });
    expect(await ask(hosts[1], `mdb-0.${service}`)).toHaveLength(1);
  });

  test('another host: nobody here notices', async () => {
    const stop = keepAsking(hosts[0], `mdb-0.${service}`);
    const fault = await faults.cutOff(hosts[1].name);
    await until('the server misses it', async () => {
      const { body } = await rancher.api('GET', '/v1/hosts');
      return body.items.some(
        (h: { name: string; status: { state: string } }) =>
          h.name === hosts[1].name && h.status.state !== 'active',
      );
    });
    const { ok, failed, first } = await stop();
    await fault.heal();
    expect({ failed, first }).toEqual({ failed: 0, first: '' });
    expect(ok).toBeGreaterThan(10);
  });
});
