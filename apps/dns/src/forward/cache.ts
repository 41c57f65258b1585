import type { Answered } from './exchange.ts';

/** An answer that is kept. */
export interface Entry {
  /** The message without OPT. */
  message: Buffer;
  ttlOffsets: number[];
  questionEnd: number;
  /** Milliseconds since the epoch. */
  storedAt: number;
  expiresAt: number;
  hits: number;
}

/** Bounds of what is kept, in seconds. A day of staleness is what RFC 8767 recommends at least. */
const longestTtl = 3600;
const longestNegativeTtl = 300;
const staleSeconds = 86_400;
const entryOverheadBytes = 300;

export interface CacheLimits {
  entries: number;
  bytes: number;
}

/** Answers by question, the ones least recently used given up first. */
export class Cache {
  readonly #entries = new Map<string, Entry>();
  readonly #limits: CacheLimits;
  #bytes = 0;

  constructor(limits: CacheLimits = { entries: 10_000, bytes: 8 << 20 }) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#entries.size;
  }
  get bytes(): number {
    return this.#bytes;
  }

  /** Fresh or stale: what is too old even for that is forgotten. */
  get(key: string, now: number): Entry | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#entries.delete(key);
    if (now > entry.expiresAt + staleSeconds * 1000) {
      this.#bytes -= sizeOf(key, entry);
      return undefined;
    }
    this.#entries.set(key, entry);
    entry.hits++;
    return entry;
  }

  /** Keeps an answer as long as it says; one that says 0 is only given back. */
  put(key: string, answered: Answered, now: number): Entry {
    const entry = entryOf(answered, now);
    const before = this.#entries.get(key);
    if (before !== undefined) {
      this.#bytes -= sizeOf(key, before);
      this.#entries.delete(key);
    }
    if (entry.expiresAt <= now) return entry;
    this.#entries.set(key, entry);
    this.#bytes += sizeOf(key, entry);
    for (const [oldest, old] of this.#entries) {
      if (this.#entries.size <= this.#limits.entries && this.#bytes <= this.#limits.bytes) break;
      this.#entries.delete(oldest);
      this.#bytes -= sizeOf(oldest, old);
    }
    return entry;
  }
}

function entryOf({ message, scanned }: Answered, now: number): Entry {
  const kept = Buffer.from(message.subarray(0, scanned.end));
  kept.writeUInt16BE(scanned.additionals, 10);
  const nothing = scanned.rcode !== 0 || kept.readUInt16BE(6) === 0;
  const ttl = Math.min(scanned.ttl, nothing ? longestNegativeTtl : longestTtl);
  return {
    message: kept,
    ttlOffsets: scanned.ttlOffsets,
    questionEnd: scanned.questionEnd,
    storedAt: now,
    expiresAt: now + ttl * 1000,
    hits: 0,
  };
}

function sizeOf(key: string, { message, ttlOffsets }: Entry): number {
  return key.length + message.length + ttlOffsets.length * 8 + entryOverheadBytes;
}
