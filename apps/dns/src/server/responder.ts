import type { Counters } from '../metrics.ts';
import { headerBytes, ownUdpBytes, rcode, type as recordType } from '../wire/constants.ts';
import { Query, verdict } from '../wire/query.ts';
import { podAddress } from '../zone/pods.ts';
import { type AnswerTable, setHeadBytes } from '../zone/table.ts';
import type { Zones } from '../zone/zones.ts';

/** What {@link Responder.respond} says when the answer is not in the table. */
export const outcome = { drop: 0, resolve: -1 } as const;

const optBytes = 11;
const rcodeBits = 0x0f;

/**
 * Answers queries from prepared bytes: no object is made on the way. What it cannot answer so (names outside of its
 * zones, CNAMEs that are to be followed) it leaves to a resolver.
 */
export class Responder {
  readonly query: Query = new Query();
  table: AnswerTable;
  readonly #zones: Zones;
  readonly #counters: Counters;
  /** Whether the table holds what the cluster has; until then its names are not known not to exist. */
  readonly #isReady: () => boolean;
  #turn = 0;

  constructor(parts: { table: AnswerTable; zones: Zones; counters: Counters; isReady: () => boolean }) {
    this.table = parts.table;
    this.#zones = parts.zones;
    this.#counters = parts.counters;
    this.#isReady = parts.isReady;
  }

  /**
   * Writes the answer to `packet` into `out` and gives its length; or an {@link outcome}, with the parsed query in
   * `this.query`. Never throws.
   * @param limit largest answer, in bytes, that may be given at all: over UDP the client's own limit counts too
   */
  respond(packet: Uint8Array, size: number, out: Buffer, limit: number, overUdp: boolean): number {
    const { query } = this;
    const found = query.parse(packet, size);
    if (found !== verdict.question) return this.#refuse(found, packet, out);
    const most = overUdp ? Math.min(limit, query.udpBytes) : limit;
    const entry = this.table.find(query.name, 0, query.nameLength, query.hash);
    if (entry !== 0) return this.#fromEntry(entry, packet, out, most);
    const zone = this.#zones.of(query);
    if (zone === undefined) return outcome.resolve;
    if (!this.#isReady()) return this.fail(rcode.SERVFAIL, packet, out);
    const pod = podAddress(query, zone, this.table);
    if (pod !== undefined) return this.#pod(pod, zone, packet, out, most);
    return this.#negative(zone, rcode.NXDOMAIN, packet, out);
  }

  /** An answer that tells nothing but a code. The query must have been parsed. */
  fail(code: number, packet: Uint8Array, out: Buffer): number {
    const at = this.#start(packet, out, code, false);
    return this.#finish(at, out, 0, 0, 0, code);
  }

  #refuse(found: number, packet: Uint8Array, out: Buffer): number {
    if (found === verdict.drop) return outcome.drop;
    const code =
      found === verdict.formatError
        ? rcode.FORMERR
        : found === verdict.refused
          ? rcode.REFUSED
          : found === verdict.badVersion
            ? rcode.BADVERS
            : rcode.NOTIMP;
    return this.fail(code, packet, out);
  }

  #fromEntry(entry: number, packet: Uint8Array, out: Buffer, limit: number): number {
    const { bytes } = this.table;
    const { query } = this;
    const sets = bytes[entry]!;
    let data = entry + 1 + sets * setHeadBytes;
    for (let i = 0, head = entry + 1; i < sets; i++, head += setHeadBytes) {
      const type = (bytes[head]! << 8) | bytes[head + 1]!;
      if (type === query.type) return this.#fromSet(head, data, packet, out, limit);
      if (type === recordType.CNAME) return outcome.resolve;
      data += ((bytes[head + 6]! << 8) | bytes[head + 7]!) + ((bytes[head + 8]! << 8) | bytes[head + 9]!);
    }
    const zone = this.#zones.of(query);
    return zone === undefined
      ? this.#finish(this.#start(packet, out, 0, true), out, 0, 0, 0, 0)
      : this.#negative(zone, rcode.NOERROR, packet, out);
  }

  #fromSet(head: number, data: number, packet: Uint8Array, out: Buffer, limit: number): number {
    const { bytes } = this.table;
    const answers = (bytes[head + 2]! << 8) | bytes[head + 3]!;
    let additionals = (bytes[head + 4]! << 8) | bytes[head + 5]!;
    const answerBytes = (bytes[head + 6]! << 8) | bytes[head + 7]!;
    const additionalBytes = (bytes[head + 8]! << 8) | bytes[head + 9]!;
    const rotate = bytes[head + 10]!;
    let at = this.#start(packet, out, 0, true);
    const room = limit - at - (this.query.hasEdns ? optBytes : 0);
    if (answerBytes > room) return this.#truncated(at, out);
    if (rotate > 0 && answers > 1) {
      // Each client gets them in another order, so that those who take the first spread.
      const first = (this.#turn++ % answers) * rotate;
      bytes.copy(out, at, data + first, data + answerBytes);
      bytes.copy(out, at + answerBytes - first, data, data + first);
    } else bytes.copy(out, at, data, data + answerBytes);
    at += answerBytes;
    if (additionals > 0) {
      // What is only there to save a question is left out where it does not fit (RFC 2181, 9).
      if (answerBytes + additionalBytes > room) additionals = 0;
      else {
        bytes.copy(out, at, data + answerBytes, data + answerBytes + additionalBytes);
        at += additionalBytes;
      }
    }
    return this.#finish(at, out, answers, 0, additionals, 0);
  }

  #pod(
    address: Uint8Array,
    zone: { soa: Buffer; name: Buffer },
    packet: Uint8Array,
    out: Buffer,
    limit: number,
  ): number {
    const wanted = address.length === 4 ? recordType.A : recordType.AAAA;
    if (this.query.type !== wanted) return this.#negative(zone, rcode.NOERROR, packet, out);
    let at = this.#start(packet, out, 0, true);
    if (at + 28 + optBytes > limit) return this.#truncated(at, out);
    out.writeUInt16BE(0xc000 | headerBytes, at);
    out.writeUInt16BE(wanted, at + 2);
    out.writeUInt16BE(1, at + 4);
    out.writeUInt32BE(this.#zones.ttl, at + 6);
    out.writeUInt16BE(address.length, at + 10);
    out.set(address, at + 12);
    at += 12 + address.length;
    return this.#finish(at, out, 1, 0, 0, 0);
  }

  /** NXDOMAIN, or NODATA: the name has no records of that type. Both with the zone's SOA (RFC 2308). */
  #negative(zone: { soa: Buffer; name: Buffer }, code: number, packet: Uint8Array, out: Buffer): number {
    const at = this.#start(packet, out, code, true);
    zone.soa.copy(out, at);
    const owner = headerBytes + this.query.nameLength - zone.name.length;
    out[at] = 0xc0 | (owner >> 8);
    out[at + 1] = owner & 0xff;
    return this.#finish(at + zone.soa.length, out, 0, 1, 0, code);
  }

  #truncated(at: number, out: Buffer): number {
    out[2]! |= 0x02;
    return this.#finish(at, out, 0, 0, 0, 0);
  }

  /** Header and question, as the client wrote it: it may have put random bits into the case of letters (0x20). */
  #start(packet: Uint8Array, out: Buffer, code: number, authoritative: boolean): number {
    const end = this.query.end === 0 ? headerBytes : this.query.end;
    for (let i = 0; i < end; i++) out[i] = packet[i]!;
    // QR; opcode and RD as asked; AA.
    out[2] = 0x80 | (packet[2]! & 0x79) | (authoritative ? 0x04 : 0);
    // RA; CD as asked.
    out[3] = 0x80 | (packet[3]! & 0x10) | (code & rcodeBits);
    return end;
  }

  #finish(
    end: number,
    out: Buffer,
    answers: number,
    authorities: number,
    additionals: number,
    code: number,
  ): number {
    const { query } = this;
    let at = end;
    out[4] = 0;
    out[5] = query.end === 0 ? 0 : 1;
    out[6] = answers >> 8;
    out[7] = answers & 0xff;
    out[8] = 0;
    out[9] = authorities;
    let extra = additionals;
    if (query.hasEdns) {
      extra++;
      at = writeOpt(out, at, code, query.dnssecOk);
    }
    out[10] = extra >> 8;
    out[11] = extra & 0xff;
    this.#counters.count(code);
    return at;
  }
}

/** The OPT record of an answer (RFC 6891): what we take over UDP, the high bits of the code, and DO as asked. */
export function writeOpt(out: Buffer, at: number, code: number, dnssecOk: boolean): number {
  out[at] = 0;
  out[at + 1] = 0;
  out[at + 2] = recordType.OPT;
  out[at + 3] = ownUdpBytes >> 8;
  out[at + 4] = ownUdpBytes & 0xff;
  out[at + 5] = code >> 4;
  out[at + 6] = 0;
  out[at + 7] = dnssecOk ? 0x80 : 0;
  out[at + 8] = 0;
  out[at + 9] = 0;
  out[at + 10] = 0;
  return at + optBytes;
}
