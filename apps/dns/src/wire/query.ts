import { classIn, headerBytes, maxNameBytes, plainUdpBytes, type as recordType } from './constants.ts';

/** What a packet is, besides a question that can be answered. */
export const verdict = {
  question: 0,
  drop: 1,
  formatError: 2,
  notImplemented: 3,
  refused: 4,
  badVersion: 5,
} as const;

/**
 * A parsed query. One object is used again for every packet, as a server's hottest path should make no garbage: read it
 * before the next {@link Query.parse}.
 */
export class Query {
  /** The name in lower case, in wire format. */
  readonly name: Buffer = Buffer.alloc(maxNameBytes + 1);
  nameLength = 0;
  hash = 0;
  /** Where each label starts in the name. */
  readonly labels: Uint8Array = new Uint8Array(128);
  labelCount = 0;
  type = 0;
  /** Where the question ends in the packet. */
  end = 0;
  hasEdns = false;
  /** The largest answer that the client takes over UDP. */
  udpBytes = plainUdpBytes;
  dnssecOk = false;

  /** Parses a packet of `size` bytes and says what it is. Never throws. */
  parse(packet: Uint8Array, size: number): number {
    this.hasEdns = false;
    this.dnssecOk = false;
    this.udpBytes = plainUdpBytes;
    this.end = 0;
    // An answer is never answered: two servers would talk for ever.
    if (size < headerBytes || (packet[2]! & 0x80) !== 0) return verdict.drop;
    if ((packet[2]! & 0x78) !== 0) return verdict.notImplemented;
    if (packet[4] !== 0 || packet[5] !== 1 || (packet[2]! & 0x02) !== 0) return verdict.formatError;
    if (packet[6] !== 0 || packet[7] !== 0 || packet[8] !== 0 || packet[9] !== 0) return verdict.formatError;
    if (!this.#parseName(packet, size)) return verdict.formatError;
    const at = headerBytes + this.nameLength;
    if (at + 4 > size) return verdict.formatError;
    this.type = (packet[at]! << 8) | packet[at + 1]!;
    this.end = at + 4;
    const edns = this.#parseEdns(packet, size);
    if (edns !== verdict.question) return edns;
    if (((packet[at + 2]! << 8) | packet[at + 3]!) !== classIn) return verdict.refused;
    if (this.type === recordType.AXFR || this.type === recordType.IXFR) return verdict.refused;
    return verdict.question;
  }

  #parseName(packet: Uint8Array, size: number): boolean {
    const { name, labels } = this;
    let hash = 0x811c9dc5;
    let at = headerBytes;
    let count = 0;
    for (;;) {
      const length = at < size ? packet[at]! : 64;
      // Two high bits: a pointer, which has nothing to point at in a question.
      if (length > 63) return false;
      const end = at + length;
      if (end - headerBytes + 1 > maxNameBytes || end >= size) return false;
      if (length > 0) labels[count++] = at - headerBytes;
      name[at - headerBytes] = length;
      hash = Math.imul(hash ^ length, 0x01000193);
      at++;
      for (; at <= end; at++) {
        let byte = packet[at]!;
        if (byte >= 65 && byte <= 90) byte |= 32;
        name[at - headerBytes] = byte;
        hash = Math.imul(hash ^ byte, 0x01000193);
      }
      if (length === 0) break;
    }
    this.nameLength = at - headerBytes;
    this.labelCount = count;
    this.hash = hash;
    return true;
  }

  /** The one record that may follow a question is OPT (RFC 6891), with options that are of no concern here. */
  #parseEdns(packet: Uint8Array, size: number): number {
    const additionals = (packet[10]! << 8) | packet[11]!;
    if (additionals === 0) return verdict.question;
    const at = this.end;
    if (additionals > 1 || at + 11 > size) return verdict.formatError;
    if (packet[at] !== 0 || packet[at + 1] !== 0 || packet[at + 2] !== recordType.OPT)
      return verdict.formatError;
    if (at + 11 + ((packet[at + 9]! << 8) | packet[at + 10]!) > size) return verdict.formatError;
    this.hasEdns = true;
    this.udpBytes = Math.max(plainUdpBytes, (packet[at + 3]! << 8) | packet[at + 4]!);
    this.dnssecOk = (packet[at + 7]! & 0x80) !== 0;
    return packet[at + 6] === 0 ? verdict.question : verdict.badVersion;
  }

  /** Whether the name ends in another one, at the start of a label. */
  isBelow(zone: Uint8Array): boolean {
    const from = this.nameLength - zone.length;
    if (from < 0) return false;
    for (let i = zone.length - 1; i >= 0; i--) if (this.name[from + i] !== zone[i]) return false;
    if (from === 0 || zone.length === 1) return true;
    for (let i = this.labelCount - 1; i >= 0; i--) if (this.labels[i] === from) return true;
    return false;
  }
}
