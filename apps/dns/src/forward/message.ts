import { headerBytes, rcode, type as recordType } from '../wire/constants.ts';

/** Where things are in an answer from elsewhere. */
export interface Scanned {
  rcode: number;
  truncated: boolean;
  /** Where its question ends. */
  questionEnd: number;
  /** Where each record's TTL is, OPT's apart. */
  ttlOffsets: number[];
  /** Length without OPT, and how many additional records that leaves. */
  end: number;
  additionals: number;
  /** How long it may be kept (s): the least TTL; of what says that there is nothing, after RFC 2308, 5. */
  ttl: number;
}

/** Walks through an answer. Undefined where it is malformed, or no answer to one question. Never throws. */
export function scan(message: Buffer): Scanned | undefined {
  try {
    return walk(message);
  } catch (error) {
    // Reading past the end.
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function walk(message: Buffer): Scanned | undefined {
  if (message.length < headerBytes || (message[2]! & 0x80) === 0 || message.readUInt16BE(4) !== 1)
    return undefined;
  const questionEnd = skipName(message, headerBytes) + 4;
  const counts = [message.readUInt16BE(6), message.readUInt16BE(8), message.readUInt16BE(10)];
  const found = {
    ttlOffsets: [] as number[],
    least: Number.POSITIVE_INFINITY,
    negative: undefined as number | undefined,
  };
  let at = questionEnd;
  let code = message[3]! & 0x0f;
  let [end, kept] = [message.length, counts[2]!];
  for (const [section, count] of counts.entries()) {
    const start = at;
    for (let i = 0; i < count; i++) {
      const head = skipName(message, at);
      const type = message.readUInt16BE(head);
      const next = head + 10 + message.readUInt16BE(head + 8);
      if (next > message.length) return undefined;
      if (type === recordType.OPT) {
        code |= message[head + 4]! << 4;
        // Most often it is the last. Else what follows goes too, as names in there may point into what follows.
        [end, kept] = next === message.length || i === count - 1 ? [at, i] : [start, 0];
      } else {
        // The high bit means zero (RFC 2181, 8).
        const ttl = message.readUInt32BE(head + 4) >>> 31 === 1 ? 0 : message.readUInt32BE(head + 4);
        found.ttlOffsets.push(head + 4);
        found.least = Math.min(found.least, ttl);
        if (section === 1 && type === recordType.SOA) {
          found.negative = Math.min(ttl, message.readUInt32BE(next - 4));
        }
      }
      at = next;
    }
  }
  const nothing = code === rcode.NXDOMAIN || (code === rcode.NOERROR && counts[0] === 0);
  // What is told without a SOA is not to be kept (RFC 2308, 5).
  const ttl = nothing ? (found.negative ?? 0) : Number.isFinite(found.least) ? found.least : 0;
  return {
    rcode: code,
    truncated: (message[2]! & 0x02) !== 0,
    questionEnd,
    ttlOffsets: found.ttlOffsets.filter((offset) => offset < end),
    end: at > message.length ? message.length : Math.min(end, at),
    additionals: kept,
    ttl,
  };
}

/** The first byte after a name. A name ends with its first pointer. */
function skipName(message: Buffer, start: number): number {
  let at = start;
  for (;;) {
    const length = message.readUInt8(at);
    if (length >= 0xc0) return at + 2;
    if (length > 63) throw new RangeError('bad label');
    at += length + 1;
    if (length === 0) return at;
  }
}
