/**
 * The real CoreDNS as oracle: both servers read the same objects from a real API server, set up as kubeadm sets it up, and
 * are asked the same. Where ours answers otherwise on purpose, the case says why.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createArtifactStore, sharedCacheDir } from '@rancher/artifacts';
import { coredns, freePort, startKubernetes, type TestKubernetes, until } from '@rancher/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Running, run } from './run.ts';
import { type Asked, ask, type Target, testConfig } from './testing.ts';
import { Objects } from './testing-cluster.ts';
import { TestUpstream } from './testing-upstream.ts';

let kubernetes: TestKubernetes;
let upstream: TestUpstream;
let oracle: ChildProcess | undefined;
let running: Running | undefined;
let remove: (() => Promise<void>) | undefined;
const target: Record<'ours' | 'theirs', Target> = {
  ours: { address: '127.0.0.1', port: 0 },
  theirs: { address: '127.0.0.1', port: 0 },
};

beforeAll(async () => {
  const cacheDir = sharedCacheDir();
  const store = createArtifactStore({ cacheDir });
  await store.ensure(coredns);
  kubernetes = await startKubernetes({ serviceCidr: '10.43.0.0/16,fd00:43::/112' });
  await new Objects(kubernetes).examples();
  upstream = await TestUpstream.start();
  upstream.reply = (name, type) =>
    name === 'www.example.test' && type === 'A'
      ? { answers: [{ type: 'A', name, ttl: 60, data: '192.0.2.7' }] }
      : { rcode: 3 };
  const cidrs = ['10.42.0.0/16', '10.43.0.0/16', 'fd00:43::/112', 'fd00:42::/64'];
  for (const server of [target.ours, target.theirs]) server.port = await freePort();
  const httpPort = await freePort();
  const test = await testConfig({
    kubernetes: { server: kubernetes.server, ...kubernetes.admin },
    port: target.ours.port,
    httpPort,
    cidrs,
    nameservers: [upstream.address],
  });
  remove = test.remove;
  running = await run(
    test.config,
    () => {},
    (error) => {
      throw error;
    },
    import.meta.url,
  );
  await writeFile(join(test.dir, 'kubeconfig'), kubeconfig());
  await writeFile(join(test.dir, 'Corefile'), corefile(test.dir, cidrs));
  oracle = spawn(store.filePath(coredns, 'coredns'), ['-conf', join(test.dir, 'Corefile')], {
    stdio: 'ignore',
  });
  for (const server of [target.ours, target.theirs]) {
    await until(
      'it knows the zone',
      async () => (await ask(server, 'db.alpha.svc.cluster.local', 'A')).answers.length === 4,
    );
  }
});

afterAll(async () => {
  running?.close();
  oracle?.kill('SIGKILL');
  upstream?.stop();
  await kubernetes?.stop();
  await remove?.();
});

function kubeconfig(): string {
  const { caPath, certPath, keyPath } = kubernetes.admin;
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'c', cluster: { server: kubernetes.server, 'certificate-authority': caPath } }],
    users: [{ name: 'u', user: { 'client-certificate': certPath, 'client-key': keyPath } }],
    contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'c',
  });
}

function corefile(dir: string, cidrs: string[]): string {
  const zones = ['cluster.local', ...cidrs].join(' ');
  return `${zones} {
  bind 127.0.0.1
  kubernetes ${zones} {
    kubeconfig ${dir}/kubeconfig
    pods insecure
    ttl 30
  }
}
. {
  bind 127.0.0.1
  forward . ${upstream.address}
}
`.replaceAll(
    /^(\S.*) \{$/gm,
    (_, names: string) =>
      `${names
        .split(' ')
        .map((n) => `${n}:${target.theirs.port}`)
        .join(' ')} {`,
  );
}

const svc = 'alpha.svc.cluster.local';
const same: [string, string[]][] = [
  [`web.${svc}`, ['A', 'AAAA', 'SRV', 'TXT', 'MX', 'ANY', 'PTR']],
  [`WEB.Alpha.Svc.Cluster.LOCAL`, ['A']],
  [`plain.${svc}`, ['A', 'AAAA', 'SRV']],
  [`both.${svc}`, ['A', 'AAAA']],
  [`_http._tcp.web.${svc}`, ['SRV']],
  [`_talk._udp.web.${svc}`, ['SRV']],
  [`_talk._tcp.web.${svc}`, ['SRV']],
  [`_none._tcp.web.${svc}`, ['SRV']],
  [`db.${svc}`, ['A', 'AAAA', 'SRV']],
  [`db-0.db.${svc}`, ['A', 'AAAA']],
  [`db-1.db.${svc}`, ['A']],
  [`db-2.db.${svc}`, ['A']],
  [`db-9.db.${svc}`, ['A']],
  [`10-42-1-13.db.${svc}`, ['A']],
  [`10-42-1-10.db.${svc}`, ['A']],
  [`_http._tcp.db.${svc}`, ['SRV']],
  [`six.${svc}`, ['A', 'AAAA', 'SRV']],
  [`six-0.six.${svc}`, ['A', 'AAAA']],
  [`empty.${svc}`, ['A', 'SRV']],
  [`unready.${svc}`, ['A']],
  [`published.${svc}`, ['A']],
  [`named.${svc}`, ['A', 'SRV']],
  [`named-0.named.${svc}`, ['A']],
  [`inside.${svc}`, ['A', 'CNAME']],
  [`outside.${svc}`, ['A', 'CNAME']],
  [`nowhere.${svc}`, ['CNAME']],
  [`none.${svc}`, ['A', 'AAAA', 'SRV']],
  [`www.example.com.${svc}`, ['A', 'AAAA']],
  ['kubernetes.default.svc.cluster.local', ['A']],
  ['none.none.svc.cluster.local', ['A']],
  ['beta.svc.cluster.local', ['A']],
  ['none.svc.cluster.local', ['A']],
  ['svc.cluster.local', ['A', 'SRV']],
  ['pod.cluster.local', ['A']],
  ['none.cluster.local', ['A']],
  ['10-42-1-10.alpha.pod.cluster.local', ['A', 'AAAA']],
  ['fd00-42--7.alpha.pod.cluster.local', ['A', 'AAAA']],
  ['10-42-1-10.none.pod.cluster.local', ['A']],
  ['10-42-1-999.alpha.pod.cluster.local', ['A']],
  ['dns-version.cluster.local', ['TXT']],
  ['cluster.local', ['SOA']],
  ['1.7.43.10.in-addr.arpa', ['PTR']],
  ['10.1.42.10.in-addr.arpa', ['PTR']],
  ['13.1.42.10.in-addr.arpa', ['PTR']],
  ['12.1.42.10.in-addr.arpa', ['PTR']],
  ['30.1.42.10.in-addr.arpa', ['PTR']],
  ['200.200.43.10.in-addr.arpa', ['PTR']],
  [`${'3.7.0.0.'}${'0.'.repeat(20)}3.4.0.0.0.0.d.f.ip6.arpa`, ['PTR']],
  ['www.example.test', ['A']],
  ['none.example.test', ['A']],
];
const cases = same.flatMap(([name, types]) => types.map((type): [string, string] => [name, type]));

/** Where ours answers otherwise on purpose: name, type, what ours says, and why. */
const different: [string, string, Partial<ReturnType<typeof essence>>, string][] = [
  [
    `_http._tcp.both.${svc}`,
    'SRV',
    { answers: [`_http._tcp.both.${svc} srv {"priority":0,"weight":100,"port":80,"target":"both.${svc}"}`] },
    'weights are shares among the records told: one record has it all, however many addresses its target has',
  ],
  [
    `_http._tcp.web.${svc}`,
    'A',
    { rcode: 'NOERROR', answers: [] },
    'the specification gives port names SRV alone',
  ],
  [
    `inside.${svc}`,
    'AAAA',
    { rcode: 'NOERROR', answers: [`inside.${svc} cname web.${svc}`] },
    'an alias is told also where its target has nothing of that type (RFC 2308, 2.2)',
  ],
  ['1.7.43.10.in-addr.arpa', 'A', { rcode: 'NOERROR', answers: [] }, 'the name exists (RFC 8020)'],
  [`_tcp.web.${svc}`, 'A', { rcode: 'NOERROR', answers: [] }, 'names exist below it (RFC 8020)'],
  ['7.43.10.in-addr.arpa', 'PTR', { rcode: 'NOERROR', answers: [] }, 'names exist below it (RFC 8020)'],
  [
    `10-42-1-31.named.${svc}`,
    'A',
    { rcode: 'NXDOMAIN' },
    'an endpoint without hostname of a Service with an address has no name in the specification',
  ],
  [`circle.${svc}`, 'A', { rcode: 'SERVFAIL' }, 'a circle of aliases leads nowhere'],
];

/** What two answers must have in common. Numbers of the SOA are each server's own. */
function essence({ rcode, authoritative, answers, authorities }: Asked) {
  const soa = (record: string) => record.replace(/ soa \{.*/, ' soa');
  return { rcode, authoritative, answers: answers.map(soa), authorities: authorities.map(soa) };
}

describe('ours and CoreDNS', () => {
  it.each(cases)('say the same of %s %s', async (name, type) => {
    const [ours, theirs] = await Promise.all([ask(target.ours, name, type), ask(target.theirs, name, type)]);
    expect(essence(ours)).toEqual(essence(theirs));
  });

  it.each(different)('differ over %s %s', async (name, type, expected) => {
    const [ours, theirs] = await Promise.all([ask(target.ours, name, type), ask(target.theirs, name, type)]);
    expect(essence(ours)).toMatchObject(expected);
    expect(essence(theirs)).not.toMatchObject(expected);
  });
});
