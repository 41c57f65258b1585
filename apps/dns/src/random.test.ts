/** Whatever comes in: no exception, and what goes out is a message. */
import { decode } from 'dns-packet';
import { expect, it } from 'vitest';
import { scan } from './forward/message.ts';
import { Counters } from './metrics.ts';
import { Responder } from './server/responder.ts';
import { queryBytes } from './testing.ts';
import { ClusterZone } from './zone/cluster-zone.ts';
import { Zones } from './zone/zones.ts';

/** A small generator of the same numbers for the same seed (mulberry32), so that a failure can be repeated. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const zones = new Zones({ domain: 'cluster.local', cidrs: ['10.42.0.0/16', '10.43.0.0/16'] }, 1);
const zone = new ClusterZone(zones, '10.43.0.10');
zone.setNamespace('a', true);
zone.setService('a/web', {
  addresses: ['10.43.0.7'],
  headless: false,
  publishNotReady: false,
  ports: [{ name: 'http', protocol: 'tcp', port: 80 }],
});
zone.setService('a/db', { addresses: [], headless: true, publishNotReady: false, ports: [] });
zone.setSlice('a/db-1', {
  service: 'a/db',
  endpoints: Array.from({ length: 40 }, (_, i) => ({
    address: `10.42.0.${i}`,
    hostname: `db-${i}`,
    ready: true,
  })),
  ports: [{ name: 'http', protocol: 'tcp', port: 80 }],
});
zone.flush();
const responder = new Responder({ zones, table: zone.table, counters: new Counters(), isReady: () => true });
const names = [
  'web.a.svc.cluster.local',
  'db.a.svc.cluster.local',
  '_http._tcp.db.a.svc.cluster.local',
  '10-42-0-1.a.pod.cluster.local',
  'x.cluster.local',
  'example.test',
  '.',
];
const types = ['A', 'AAAA', 'SRV', 'PTR', 'TXT', 'SOA'];

it('answers damaged queries with messages, within the client’s limit', () => {
  const random = randomFrom(7);
  const pick = <T>(list: readonly T[]) => list[Math.floor(random() * list.length)]!;
  const out = Buffer.alloc(65_535);
  for (let i = 0; i < 50_000; i++) {
    const packet = Buffer.from(queryBytes(pick(names), pick(types)));
    for (let k = Math.floor(random() * 4); k > 0; k--)
      packet[Math.floor(random() * packet.length)] = Math.floor(random() * 256);
    const size = random() < 0.2 ? Math.floor(random() * packet.length) : packet.length;
    const length = responder.respond(packet.subarray(0, size), size, out, 4096, true);
    if (length <= 0) continue;
    expect(length).toBeLessThanOrEqual(Math.max(512, responder.query.udpBytes));
    expect(out.readUInt16BE(0)).toBe(packet.readUInt16BE(0));
    // The library takes any question but none of odd characters, so only what it can read is compared.
    if (out[5] === 1) expect(scan(out.subarray(0, length))).toBeDefined();
    expect(() => decode(out.subarray(0, length))).not.toThrow();
  }
});

it('makes nothing of noise', () => {
  const random = randomFrom(11);
  const out = Buffer.alloc(65_535);
  for (let i = 0; i < 50_000; i++) {
    const noise = Buffer.from(
      Array.from({ length: Math.floor(random() * 80) }, () => Math.floor(random() * 256)),
    );
    expect(responder.respond(noise, noise.length, out, 4096, true)).toBeLessThanOrEqual(512);
    scan(noise);
  }
});

it('reads damaged answers from elsewhere without harm', () => {
  const random = randomFrom(13);
  const out = Buffer.alloc(65_535);
  const query = queryBytes('_http._tcp.db.a.svc.cluster.local', 'SRV');
  const length = responder.respond(query, query.length, out, 65_535, false);
  for (let i = 0; i < 20_000; i++) {
    const damaged = Buffer.from(out.subarray(0, Math.floor(random() * length)));
    for (let k = 0; k < 3; k++)
      if (damaged.length > 0) damaged[Math.floor(random() * damaged.length)] = Math.floor(random() * 256);
    const scanned = scan(damaged);
    if (scanned !== undefined) expect(scanned.end).toBeLessThanOrEqual(damaged.length);
  }
});
