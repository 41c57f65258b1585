import { writeOpt } from '../server/responder.ts';
import { rcode as codes } from '../wire/constants.ts';
import type { Query } from '../wire/query.ts';
import type { Entry } from './cache.ts';

/** What a stale answer says of its time (s): RFC 8767, 4. */
const staleTtl = 30;
const optBytes = 11;

/**
 * Writes a kept answer as the answer to a query, with the time that it has been kept taken off its TTLs. Gives the length.
 * @param limit more than this is cut (TC), in bytes
 */
export function writeEntry(
  entry: Entry,
  query: Query,
  packet: Uint8Array,
  out: Buffer,
  limit: number,
  now: number,
): number {
  const { message, questionEnd } = entry;
  const code = message[3]! & 0x0f;
  const whole = message.length + (query.hasEdns ? optBytes : 0) <= limit;
  const end = whole ? message.length : questionEnd;
  message.copy(out, 0, 0, end);
  // Id, and the question as the client wrote it.
  out[0] = packet[0]!;
  out[1] = packet[1]!;
  out.set(packet.subarray(12, questionEnd), 12);
  out[2] = 0x80 | (packet[2]! & 0x01) | (whole ? 0 : 0x02);
  // AD only to those who know it (RFC 6840, 5.8).
  const knowsAd = query.dnssecOk || (packet[3]! & 0x20) !== 0;
  out[3] = 0x80 | (knowsAd ? message[3]! & 0x20 : 0) | (packet[3]! & 0x10) | code;
  if (!whole) out.fill(0, 6, 12);
  else {
    const fresh = entry.expiresAt > now;
    const kept = Math.floor((now - entry.storedAt) / 1000);
    for (const offset of entry.ttlOffsets) {
      const ttl = fresh ? Math.max(0, message.readUInt32BE(offset) - kept) : staleTtl;
      out.writeUInt32BE(ttl, offset);
    }
  }
  if (!query.hasEdns) return end;
  out.writeUInt16BE((whole ? message.readUInt16BE(10) : 0) + 1, 10);
  return writeOpt(out, end, codes.NOERROR, query.dnssecOk);
}
