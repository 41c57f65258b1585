import { isIP } from 'node:net';
import { headerBytes, type as recordType } from '../wire/constants.ts';
import { toWire } from '../wire/name.ts';
import type { Query } from '../wire/query.ts';

/** Seconds that answers about the cluster may be kept, also that there is no such name. */
const ttl = 30;

export interface ZoneConfig {
  /** `cluster.local`. */
  domain: string;
  /** Blocks of addresses that the cluster has names for. */
  cidrs: readonly string[];
  /** Further zones, such as `rancher.internal`. */
  others?: readonly string[];
}

export interface Zone {
  /** Text, lower case, without the last dot. */
  text: string;
  /** Wire format. */
  name: Buffer;
  /** The SOA record whose first two bytes are to point to its owner. */
  soa: Buffer;
}

/** The zones that this server has the truth about. */
export class Zones {
  readonly ttl: number = ttl;
  readonly domain: string;
  readonly all: readonly Zone[];

  /** @param serial of the SOA: when this server started (s since the epoch); there is nobody to transfer a zone to */
  constructor(config: ZoneConfig, serial: number) {
    this.domain = config.domain;
    const names = [config.domain, ...(config.others ?? []), ...config.cidrs.flatMap(reverseZones)];
    this.all = names.map((text) => {
      const name = toWire(text);
      if (name === undefined) throw new Error(`${text} is not a domain name`);
      return { text, name, soa: soaRecord(config.domain, serial) };
    });
  }

  /** The zone that a query's name is in. */
  of(query: Query): Zone | undefined {
    for (const zone of this.all) if (query.isBelow(zone.name)) return zone;
    return undefined;
  }
}

/** Name server and mailbox are names as CoreDNS has them; refresh, retry, expire are for secondaries, of which none are. */
function soaRecord(domain: string, serial: number): Buffer {
  const numbers = Buffer.alloc(20);
  for (const [i, value] of [serial, 7200, 1800, 86400, ttl].entries()) numbers.writeUInt32BE(value, i * 4);
  const data = Buffer.concat([toWire(`ns.dns.${domain}`)!, toWire(`hostmaster.${domain}`)!, numbers]);
  const head = Buffer.alloc(12);
  head.writeUInt16BE(0xc000 | headerBytes, 0);
  head.writeUInt16BE(recordType.SOA, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt32BE(ttl, 6);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}

/**
 * The zones of in-addr.arpa or ip6.arpa that a block of addresses is: several where its prefix is not at the end of a
 * label (RFC 2317 is of no use to a server of its own). `10.43.0.0/16` → `43.10.in-addr.arpa`.
 */
export function reverseZones(cidr: string): string[] {
  const [address = '', prefixText] = cidr.split('/');
  const v6 = isIP(address) === 6;
  const bitsOfLabel = v6 ? 4 : 8;
  const labels = v6
    ? [...expandV6(address).toString('hex')].map((d) => Number.parseInt(d, 16))
    : address.split('.').map(Number);
  const prefix = Number(prefixText);
  const whole = Math.floor(prefix / bitsOfLabel);
  const rest = prefix % bitsOfLabel;
  const suffix = v6 ? 'ip6.arpa' : 'in-addr.arpa';
  const text = (parts: number[]) =>
    [...parts.reverse().map((n) => n.toString(v6 ? 16 : 10)), suffix].join('.');
  if (rest === 0) return [text(labels.slice(0, whole))];
  const size = 2 ** (bitsOfLabel - rest);
  const first = labels[whole]! - (labels[whole]! % size);
  return Array.from({ length: size }, (_, i) => text([...labels.slice(0, whole), first + i]));
}

/** The name that an address's PTR record has. Undefined for what is not an address. */
export function reverseName(address: string): string | undefined {
  const version = isIP(address);
  if (version === 4) return `${address.split('.').reverse().join('.')}.in-addr.arpa`;
  if (version === 6) return `${[...expandV6(address).toString('hex')].reverse().join('.')}.ip6.arpa`;
  return undefined;
}

/** The 16 bytes of an IPv6 address that `isIP` says is one. */
export function expandV6(address: string): Buffer {
  const bytes = Buffer.alloc(16);
  // The last 32 bits may be written as an IPv4 address.
  const text = address
    .split('%')[0]!
    .replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, a, b, c, d) =>
      [(Number(a) << 8) | Number(b), (Number(c) << 8) | Number(d)].map((n) => n.toString(16)).join(':'),
    );
  const [left = '', right] = text.split('::');
  const words = (part: string) => (part === '' ? [] : part.split(':').map((w) => Number.parseInt(w, 16)));
  for (const [i, word] of words(left).entries()) bytes.writeUInt16BE(word, i * 2);
  const tail = words(right ?? '');
  for (const [i, word] of tail.entries()) bytes.writeUInt16BE(word, 16 - (tail.length - i) * 2);
  return bytes;
}
