import { hashOf } from '../wire/name.ts';

/** One record set of a name, as the bytes that an answer has after its question. */
export interface PreparedSet {
  type: number;
  answers: number;
  answerBytes: Uint8Array;
  additionals: number;
  additionalBytes: Uint8Array;
  /** Size of each answer, where all are alike and their order is nobody's matter; else 0. */
  rotateBytes: number;
}

/** A name that exists: without sets, others exist below it, or it has nothing to tell. */
export interface PreparedName {
  /** Wire format, lower case. */
  name: Uint8Array;
  sets: readonly PreparedSet[];
}

/*
 * One block of shared memory that one thread writes and any number read, without locks:
 *
 *     header   slots (32 bits each)   arena
 *
 * A slot holds the arena offset of an entry, 0 where it is empty, -1 where one was. An entry is written once, wholly,
 * before a slot leads to it, and never changed; so whoever follows a slot finds the old one or the new one. Its place is
 * used again only in another block (`AnswerTable.compacted`).
 *
 *     entry    name length (1), name, number of sets (1), a head for each set, bytes of each set
 *     head     type, answers, additionals, length of answers, length of additionals (2 each), rotateBytes (1), 0
 */
const headerWords = 4;
const [slotCountWord, usedWord, liveWord, filledWord] = [0, 1, 2, 3];
const removed = -1;
export const setHeadBytes = 12;

/** Answers by name. */
export class AnswerTable {
  readonly memory: SharedArrayBuffer;
  readonly bytes: Buffer;
  readonly #header: Int32Array;
  readonly #slots: Int32Array;
  readonly #mask: number;

  /** Opens a block that {@link AnswerTable.create} made, perhaps in another thread. */
  constructor(memory: SharedArrayBuffer) {
    this.memory = memory;
    this.#header = new Int32Array(memory, 0, headerWords);
    const slotCount = this.#header[slotCountWord]!;
    this.#slots = new Int32Array(memory, headerWords * 4, slotCount);
    this.#mask = slotCount - 1;
    this.bytes = Buffer.from(memory, (headerWords + slotCount) * 4);
  }

  /** @param names for how many there is room; a power of two of slots keeps at least half of them empty */
  static create(names = 1024, arenaBytes = 256 * 1024): AnswerTable {
    let slots = 256;
    while (slots < names * 2) slots *= 2;
    const memory = new SharedArrayBuffer((headerWords + slots) * 4 + arenaBytes);
    const header = new Int32Array(memory, 0, headerWords);
    header[slotCountWord] = slots;
    // Offset 0 means none.
    header[usedWord] = 1;
    return new AnswerTable(memory);
  }

  get size(): number {
    return this.#header[liveWord]!;
  }

  /** Bytes of the arena that entries take up, those no longer led to among them. */
  get usedBytes(): number {
    return this.#header[usedWord]!;
  }

  /** Offset in `bytes` of an entry's number of sets; 0 where there is no such name. */
  find(name: Uint8Array, from: number, to: number, hash: number): number {
    const { bytes } = this;
    const slots = this.#slots;
    const length = to - from;
    for (let slot = hash & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const offset = Atomics.load(slots, slot);
      if (offset === 0) return 0;
      if (offset === removed || bytes[offset] !== length) continue;
      let i = length - 1;
      while (i >= 0 && bytes[offset + 1 + i] === name[from + i]) i--;
      if (i < 0) return offset + 1 + length;
    }
  }

  /** Whether {@link put} has room for it; else a {@link compacted} block is due. */
  hasRoom(entry: PreparedName): boolean {
    if (this.#header[filledWord]! * 2 >= this.#slots.length) return false;
    return this.usedBytes + entryBytes(entry) <= this.bytes.length;
  }

  put(entry: PreparedName): void {
    const offset = this.#write(entry);
    const slot = this.#slotOf(entry.name);
    const before = this.#slots[slot]!;
    if (before === 0) this.#header[filledWord]!++;
    if (before <= 0) this.#header[liveWord]!++;
    Atomics.store(this.#slots, slot, offset);
  }

  delete(name: Uint8Array): void {
    const slot = this.#slotOf(name);
    if (this.#slots[slot]! <= 0) return;
    Atomics.store(this.#slots, slot, removed);
    this.#header[liveWord]!--;
  }

  /** Another block with the same entries, with no waste, and room for `entry` and as much again. */
  compacted(entry: PreparedName): AnswerTable {
    const live = [...this.#slots].filter((offset) => offset > 0);
    const sizes = live.map((offset) => this.#entryBytesAt(offset));
    const needed = sizes.reduce((sum, size) => sum + size, 1 + entryBytes(entry));
    const next = AnswerTable.create(Math.max(1024, live.length * 2), Math.max(256 * 1024, needed * 2));
    for (const [i, offset] of live.entries()) next.#copy(this.bytes.subarray(offset, offset + sizes[i]!));
    return next;
  }

  #copy(entry: Uint8Array): void {
    const offset = this.usedBytes;
    this.bytes.set(entry, offset);
    this.#header[usedWord] = offset + entry.length;
    this.#header[filledWord]!++;
    this.#header[liveWord]!++;
    Atomics.store(this.#slots, this.#slotOf(entry.subarray(1, 1 + entry[0]!)), offset);
  }

  /** The slot of a name, or the one that it would get. */
  #slotOf(name: Uint8Array): number {
    let free = -1;
    for (let slot = hashOf(name) & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const offset = this.#slots[slot]!;
      if (offset === removed) {
        if (free < 0) free = slot;
      } else if (offset === 0) {
        return free < 0 ? slot : free;
      } else if (
        this.bytes[offset] === name.length &&
        this.bytes.subarray(offset + 1, offset + 1 + name.length).equals(name)
      ) {
        return slot;
      }
    }
  }

  #write({ name, sets }: PreparedName): number {
    const { bytes } = this;
    const offset = this.usedBytes;
    bytes[offset] = name.length;
    bytes.set(name, offset + 1);
    let at = offset + 1 + name.length;
    bytes[at++] = sets.length;
    for (const set of sets) {
      bytes.writeUInt16BE(set.type, at);
      bytes.writeUInt16BE(set.answers, at + 2);
      bytes.writeUInt16BE(set.additionals, at + 4);
      bytes.writeUInt16BE(set.answerBytes.length, at + 6);
      bytes.writeUInt16BE(set.additionalBytes.length, at + 8);
      bytes[at + 10] = set.rotateBytes;
      at += setHeadBytes;
    }
    for (const set of sets) {
      bytes.set(set.answerBytes, at);
      at += set.answerBytes.length;
      bytes.set(set.additionalBytes, at);
      at += set.additionalBytes.length;
    }
    this.#header[usedWord] = at;
    return offset;
  }

  #entryBytesAt(offset: number): number {
    const { bytes } = this;
    let at = offset + 1 + bytes[offset]!;
    const sets = bytes[at++]!;
    let total = 0;
    for (let i = 0; i < sets; i++, at += setHeadBytes) {
      total += bytes.readUInt16BE(at + 6) + bytes.readUInt16BE(at + 8);
    }
    return at + total - offset;
  }
}

function entryBytes({ name, sets }: PreparedName): number {
  const content = sets.reduce((sum, s) => sum + s.answerBytes.length + s.additionalBytes.length, 0);
  return 2 + name.length + sets.length * setHeadBytes + content;
}
