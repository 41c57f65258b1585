/** The whole server on loopback, against a real API server and an upstream that does what a test wants. */
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import net from 'node:net';
import { freePort, startKubernetes, type TestKubernetes, until } from '@rancher/testing';
import { type Answer, decode } from 'dns-packet';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { DnsConfig } from './config.ts';
import { type Running, run } from './run.ts';
import { ask, overTcp, overUdp, queryBytes, read, type Target, testConfig } from './testing.ts';
import { Objects } from './testing-cluster.ts';
import { TestUpstream } from './testing-upstream.ts';
import { rcode } from './wire/constants.ts';

let kubernetes: TestKubernetes;
let objects: Objects;
let upstream: TestUpstream;
let stub: TestUpstream;
let config: DnsConfig;
let running: Running;
let target: Target;
let remove: () => Promise<void>;
const log: string[] = [];

beforeAll(async () => {
  kubernetes = await startKubernetes({ serviceCidr: '10.43.0.0/16,fd00:43::/112' });
  objects = new Objects(kubernetes);
  await objects.examples();
  [upstream, stub] = [await TestUpstream.start(), await TestUpstream.start()];
  const test = await testConfig({
    kubernetes: { server: kubernetes.server, ...kubernetes.admin },
    port: await freePort(),
    httpPort: await freePort(),
    nameservers: [upstream.address],
    stubDomains: { 'corp.test': [stub.address] },
  });
  ({ config, remove } = test);
  target = { address: '127.0.0.1', port: config.port };
  await start();
});

afterAll(async () => {
  running?.close();
  upstream?.stop();
  stub?.stop();
  await kubernetes?.stop();
  await remove?.();
});

async function start(): Promise<void> {
  running = await run(
    config,
    (message) => void log.push(message),
    (error) => {
      throw error;
    },
    import.meta.url,
  );
  await until('it is ready', async () => (await get('/readyz')).status === 200);
}

const get = (path: string) => fetch(`http://127.0.0.1:${config.httpPort}${path}`);
const a = (name: string, data: string, ttl = 60): Answer => ({ type: 'A', name, ttl, data });
const soa = (name: string, minimum: number): Answer => ({
  type: 'SOA',
  name,
  ttl: 900,
  data: { mname: 'ns', rname: 'root', serial: 1, refresh: 1, retry: 1, expire: 1, minimum },
});
const exists = async (name: string, type = 'A') => (await ask(target, name, type)).rcode === 'NOERROR';

describe('the cluster’s names', () => {
  it('follow the objects', async () => {
    const name = 'later.alpha.svc.cluster.local';
    expect(await exists(name)).toBe(false);
    await objects.service('alpha', 'later', { clusterIP: 'None', ports: [{ name: 'http', port: 80 }] });
    await objects.slice('alpha', 'later-1', 'later', [{ addresses: ['10.42.9.9'], hostname: 'later-0' }]);
    await until('it resolves', () => exists(`later-0.${name}`));
    expect((await ask(target, '9.9.42.10.in-addr.arpa', 'PTR')).answers).toEqual([
      `9.9.42.10.in-addr.arpa ptr later-0.${name}`,
    ]);
    await objects.remove('endpointslices', 'alpha', 'later-1');
    await until('it is gone', async () => !(await exists(name)));
    expect(await exists('9.9.42.10.in-addr.arpa', 'PTR')).toBe(false);
    await objects.remove('services', 'alpha', 'later');
  });

  it('come in the letters that were asked for', async () => {
    const answer = decode((await overUdp(target, queryBytes('WeB.aLpHa.sVc.ClUsTeR.lOcAl', 'A')))!);
    expect(answer.questions?.[0]?.name).toBe('WeB.aLpHa.sVc.ClUsTeR.lOcAl');
    expect(answer.answers?.[0]?.name).toBe('WeB.aLpHa.sVc.ClUsTeR.lOcAl');
  });

  it('tell the addresses of a SRV record’s target along with it', async () => {
    const { answers, additionals } = await ask(target, '_http._tcp.db.alpha.svc.cluster.local', 'SRV');
    expect(answers).toHaveLength(4);
    expect(additionals).toContain('db-0.db.alpha.svc.cluster.local a 10.42.1.10');
    expect(additionals).toHaveLength(4);
  });

  it('come in another order each time', async () => {
    const firsts = new Set<unknown>();
    for (let i = 0; i < 4; i++) {
      const { packet } = await ask(target, 'db.alpha.svc.cluster.local', 'A');
      firsts.add((packet.answers![0] as { data: string }).data);
    }
    expect(firsts.size).toBe(4);
  });

  it('are cut over UDP where they do not fit, and whole over TCP', async () => {
    await objects.service('alpha', 'many', { clusterIP: 'None' });
    const endpoints = Array.from({ length: 60 }, (_, i) => ({ addresses: [`10.42.20.${i}`] }));
    await objects.slice('alpha', 'many-1', 'many', endpoints);
    const name = 'many.alpha.svc.cluster.local';
    await until('all are there', async () => (await ask(target, name, 'A')).answers.length === 60);
    const plain = read((await overUdp(target, queryBytes(name, 'A')))!);
    expect(plain).toMatchObject({ truncated: true, answers: [], rcode: 'NOERROR' });
    const [first, second] = await overTcp(target, [
      queryBytes(name, 'A'),
      queryBytes('web.alpha.svc.cluster.local', 'A'),
    ]);
    expect(read(first!).answers).toHaveLength(60);
    expect(read(second!).answers).toHaveLength(1);
  });

  it('say how long they may be kept, also that there are none', async () => {
    const { packet } = await ask(target, 'none.alpha.svc.cluster.local', 'A');
    expect(packet.authorities?.[0]).toMatchObject({
      type: 'SOA',
      name: 'cluster.local',
      ttl: 30,
      data: { minimum: 30 },
    });
    expect((await ask(target, 'web.alpha.svc.cluster.local', 'A')).packet.answers?.[0]).toMatchObject({
      ttl: 30,
    });
  });
});

describe('what is no good question', () => {
  const base = queryBytes('web.alpha.svc.cluster.local', 'A');
  const changed = (at: number, value: number) => {
    const copy = Buffer.from(base);
    copy[at] = value;
    return copy;
  };
  it.each([
    ['two questions', 'FORMERR', changed(5, 2)],
    ['a pointer in a question', 'FORMERR', changed(12, 0xc0)],
    ['a label that ends nowhere', 'FORMERR', changed(12, 63)],
    ['an answer in a query', 'FORMERR', changed(7, 1)],
    ['a status request', 'NOTIMP', changed(2, 0x10)],
    ['another class', 'REFUSED', changed(base.length - 1, 3)],
    ['a transfer', 'REFUSED', queryBytes('cluster.local', 'AXFR')],
  ] as const)('%s is answered %s', async (_what, code, message) => {
    const answer = await overUdp(target, message);
    expect(answer![3]! & 0x0f).toBe(rcode[code]);
    expect(answer!.readUInt16BE(0)).toBe(message.readUInt16BE(0));
  });

  it('an EDNS version of the future is answered BADVERS', async () => {
    const message = queryBytes('web.alpha.svc.cluster.local', 'A', {
      additionals: [
        {
          type: 'OPT',
          name: '.',
          udpPayloadSize: 4096,
          flags: 0,
          extendedRcode: 0,
          ednsVersion: 1,
          flag_do: false,
          options: [],
        },
      ],
    });
    const answer = decode((await overUdp(target, message))!);
    expect(answer.additionals?.[0]).toMatchObject({ type: 'OPT', extendedRcode: 1, ednsVersion: 0 });
  });

  it('an answer, or a few bytes, get no answer', async () => {
    expect(await overUdp(target, changed(2, 0x81), 200)).toBeUndefined();
    expect(await overUdp(target, Buffer.of(1, 2, 3), 200)).toBeUndefined();
    const socket = net.connect(target.port, target.address);
    socket.write(Buffer.of(0, 3, 1, 2, 3));
    await once(socket, 'close');
  });

  it('strangers are refused', async () => {
    const other = await testConfig({
      ...config,
      port: await freePort(),
      httpPort: await freePort(),
      allow: ['10.42.0.0/16'],
    });
    const server = await run(
      { ...other.config, listen: ['127.0.0.2'] },
      () => {},
      () => {},
      import.meta.url,
    );
    try {
      const answer = await ask(
        { address: '127.0.0.2', port: other.config.port },
        'web.alpha.svc.cluster.local',
        'A',
      );
      expect(answer).toMatchObject({ rcode: 'REFUSED', answers: [] });
    } finally {
      server.close();
      await other.remove();
    }
  });
});

describe('names outside', () => {
  let count = 0;
  let name: string;
  beforeEach(() => {
    name = `n${++count}.example.test`;
    upstream.asked.length = 0;
    upstream.reply = () => ({ rcode: 3, authorities: [soa('example.test', 60)] });
  });

  it('are asked once, kept, and counted down', async () => {
    upstream.reply = (n) => ({ answers: [a(n, '192.0.2.1', 60)] });
    const together = await Promise.all(Array.from({ length: 5 }, () => ask(target, name, 'A')));
    for (const { answers, authoritative } of together) {
      expect(answers).toEqual([`${name} a 192.0.2.1`]);
      expect(authoritative).toBe(false);
    }
    expect(upstream.asked).toEqual([`${name} A`]);
    await until('its time passes', async () => {
      const { packet } = await ask(target, name, 'A');
      return (packet.answers![0] as { ttl: number }).ttl < 60;
    });
    expect(upstream.asked).toHaveLength(1);
  });

  it('that do not exist are kept as long as the SOA says', async () => {
    for (let i = 0; i < 2; i++) expect((await ask(target, name, 'A')).rcode).toBe('NXDOMAIN');
    expect(upstream.asked).toHaveLength(1);
    upstream.reply = () => ({ authorities: [soa('example.test', 0)] });
    for (let i = 0; i < 2; i++) expect((await ask(target, name, 'AAAA')).rcode).toBe('NOERROR');
    expect(upstream.asked).toHaveLength(3);
  });

  it('are asked over TCP where the answer was cut', async () => {
    upstream.reply = (n, _type, tcp) => (tcp ? { answers: [a(n, '192.0.2.2')] } : { truncated: true });
    expect((await ask(target, name, 'A')).answers).toEqual([`${name} a 192.0.2.2`]);
    expect(upstream.asked).toEqual([`${name} A`, `${name} A tcp`]);
  });

  it('are told stale where nobody answers, and SERVFAIL where nothing was known', async () => {
    upstream.reply = (n) => ({ answers: [a(n, '192.0.2.3', 1)] });
    await ask(target, name, 'A');
    upstream.reply = () => ({ rcode: 2 });
    await until('it is stale', async () => {
      const { packet } = await ask(target, name, 'A');
      return upstream.asked.length > 1 && (packet.answers![0] as { ttl: number }).ttl === 30;
    });
    expect((await ask(target, `x.${name}`, 'A')).rcode).toBe('SERVFAIL');
    const asked = upstream.asked.length;
    expect((await ask(target, `x.${name}`, 'A')).rcode).toBe('SERVFAIL');
    expect(upstream.asked).toHaveLength(asked);
  });

  it('of a stub domain are asked of its servers', async () => {
    stub.reply = (n) => ({ answers: [a(n, '192.0.2.4')] });
    expect((await ask(target, 'a.b.corp.test', 'A')).answers).toEqual(['a.b.corp.test a 192.0.2.4']);
    expect((await ask(target, 'a.notcorp.test', 'A')).rcode).toBe('NXDOMAIN');
    expect(stub.asked).toEqual(['a.b.corp.test A']);
  });

  it('are the target of aliases', async () => {
    upstream.reply = (n) => (n === 'www.example.test' ? { answers: [a(n, '192.0.2.5')] } : { rcode: 3 });
    expect((await ask(target, 'outside.alpha.svc.cluster.local', 'A')).answers).toEqual([
      'outside.alpha.svc.cluster.local cname www.example.test',
      'www.example.test a 192.0.2.5',
    ]);
    expect((await ask(target, 'nowhere.alpha.svc.cluster.local', 'A')).rcode).toBe('NXDOMAIN');
    expect((await ask(target, 'circle.alpha.svc.cluster.local', 'A')).rcode).toBe('SERVFAIL');
  });

  it('that come back as nonsense do no harm', async () => {
    upstream.reply = () => ({ raw: Buffer.from('nonsense that is no message at all') });
    expect((await ask(target, name, 'A')).rcode).toBe('SERVFAIL');
    expect(await exists('web.alpha.svc.cluster.local')).toBe(true);
  });
});

describe('health', () => {
  it('tells metrics', async () => {
    const text = await (await get('/metrics')).text();
    expect(text).toMatch(/^rancher_dns_responses_total\{rcode="NXDOMAIN"\} [1-9]/m);
    expect(text).toMatch(/^rancher_dns_kubernetes_connected 1$/m);
    expect((await get('/livez')).status).toBe(200);
    expect((await get('/other')).status).toBe(404);
    expect((await fetch(`http://127.0.0.1:${config.httpPort}/livez`, { method: 'POST' })).status).toBe(405);
  });
});

describe('without an API server', () => {
  it('tells what it last knew, after a restart too; and SERVFAIL where it never knew', async () => {
    await kubernetes.killApiServer();
    await until('it notices', async () => (await (await get('/metrics')).text()).includes('connected 0'));
    expect(await exists('web.alpha.svc.cluster.local')).toBe(true);
    running.close();
    expect(existsSync(config.snapshotPath)).toBe(true);
    await start();
    expect((await ask(target, 'db.alpha.svc.cluster.local', 'A')).answers).toHaveLength(4);
    expect((await ask(target, 'none.alpha.svc.cluster.local', 'A')).rcode).toBe('NXDOMAIN');

    running.close();
    await writeFile(config.snapshotPath, '{"version":1');
    running = await run(
      config,
      () => {},
      () => {},
      import.meta.url,
    );
    expect((await ask(target, 'web.alpha.svc.cluster.local', 'A')).rcode).toBe('SERVFAIL');
    const readyz = await get('/readyz');
    expect(readyz.status).toBe(503);
    await until('it says why', async () => (await (await get('/readyz')).text()).includes('ECONNREFUSED'));
    await kubernetes.startApiServer();
    await until('it is ready', async () => (await get('/readyz')).status === 200, { withinMs: 30_000 });
    expect(await exists('web.alpha.svc.cluster.local')).toBe(true);
  });
});
