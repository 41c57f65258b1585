import { headerBytes, maxMessageBytes, type as recordType } from '../wire/constants.ts';
import { toWire } from '../wire/name.ts';
import { addressRecord, marker, type Rec, type Records } from './records.ts';
import type { PreparedName, PreparedSet } from './table.ts';

interface Node {
  /** Whose records they are: several Services may have a pod, and so the PTR record of its address. */
  owned: Map<string, Rec[]>;
  /** Names directly below that exist. */
  children: number;
}

/**
 * Every name and what it has, by who says so. A name exists also where only names below it do (RFC 8020); those are told
 * as empty ones.
 */
export class NameTree {
  readonly #nodes = new Map<string, Node>();
  readonly #namesOf = new Map<string, readonly string[]>();
  /** Names that changed since {@link takeChanges}. */
  readonly #changed = new Set<string>();

  get size(): number {
    return this.#nodes.size;
  }

  /** Replaces all that an owner has said before. */
  set(owner: string, records: Records): void {
    for (const name of this.#namesOf.get(owner) ?? []) if (!records.has(name)) this.#remove(name, owner);
    for (const [name, list] of records) this.#put(name, owner, list);
    if (records.size === 0) this.#namesOf.delete(owner);
    else this.#namesOf.set(owner, [...records.keys()]);
  }

  /** What is to be changed in a table: prepared names, and null for those that are no more. */
  takeChanges(): [Buffer, PreparedName | null][] {
    const changes: [Buffer, PreparedName | null][] = [];
    for (const text of this.#changed) {
      const name = toWire(text);
      if (name === undefined) continue;
      const node = this.#nodes.get(text);
      changes.push([name, node === undefined ? null : prepare(name, [...node.owned.values()].flat())]);
    }
    this.#changed.clear();
    return changes;
  }

  #put(name: string, owner: string, records: Rec[]): void {
    const node = this.#ensure(name);
    const before = node.owned.get(owner);
    if (before !== undefined && same(before, records)) return;
    node.owned.set(owner, records);
    this.#changed.add(name);
  }

  #ensure(name: string): Node {
    const found = this.#nodes.get(name);
    if (found !== undefined) return found;
    const node: Node = { owned: new Map(), children: 0 };
    this.#nodes.set(name, node);
    this.#changed.add(name);
    const parent = parentOf(name);
    if (parent !== '') this.#ensure(parent).children++;
    return node;
  }

  #remove(name: string, owner: string): void {
    const node = this.#nodes.get(name);
    if (node === undefined) return;
    node.owned.delete(owner);
    this.#changed.add(name);
    this.#prune(name, node);
  }

  #prune(name: string, node: Node): void {
    if (node.owned.size > 0 || node.children > 0) return;
    this.#nodes.delete(name);
    this.#changed.add(name);
    const parent = this.#nodes.get(parentOf(name));
    if (parent === undefined) return;
    parent.children--;
    this.#prune(parentOf(name), parent);
  }
}

function parentOf(name: string): string {
  const dot = name.indexOf('.');
  return dot < 0 ? '' : name.slice(dot + 1);
}

function same(a: readonly Rec[], b: readonly Rec[]): boolean {
  return (
    a.length === b.length &&
    a.every(
      (r, i) =>
        r.bytes.equals(b[i]!.bytes) &&
        (r.targetAddresses ?? []).join() === (b[i]!.targetAddresses ?? []).join(),
    )
  );
}

/** The bytes of a name's answers. What would be longer than any message is cut to as many records as fit. */
function prepare(name: Buffer, records: readonly Rec[]): PreparedName {
  const byType = new Map<number, Rec[]>();
  for (const rec of records) {
    if (rec === marker) continue;
    const list = byType.get(rec.type) ?? [];
    if (!list.some((r) => r.bytes.equals(rec.bytes))) list.push(rec);
    byType.set(rec.type, list);
  }
  return { name, sets: [...byType].map(([type, list]) => prepareSet(name, type, list)) };
}

const answerLimit = maxMessageBytes - headerBytes - 256 - 4 - 16;
const questionPointer = Buffer.of(0xc0, headerBytes);

function prepareSet(name: Buffer, type: number, records: readonly Rec[]): PreparedSet {
  const answerStart = headerBytes + name.length + 4;
  const parts: Buffer[] = [];
  const additional: Buffer[] = [];
  const told = new Set<string>();
  let bytes = 0;
  let answers = 0;
  for (const rec of records) {
    const size = 2 + rec.bytes.length;
    if (bytes + size > answerLimit) break;
    parts.push(questionPointer, rec.bytes);
    additional.push(...additionalsOf(rec, answerStart + bytes, told));
    bytes += size;
    answers++;
  }
  const alike = (type === recordType.A || type === recordType.AAAA) && records.length > 1;
  const answerBytes = Buffer.concat(parts);
  const fits = additional.reduce((sum, b) => sum + b.length, answerBytes.length) <= answerLimit;
  return {
    type,
    answers,
    answerBytes,
    additionals: fits ? additional.length : 0,
    additionalBytes: fits ? Buffer.concat(additional) : Buffer.alloc(0),
    rotateBytes: alike ? 2 + records[0]!.bytes.length : 0,
  };
}

/** Type, class, TTL, length; then priority, weight and port. */
const srvTargetOffset = 10 + 6;

/** Addresses of a SRV record's target. Their owner's name is where the record at `start` has it, where pointers reach. */
function additionalsOf(rec: Rec, start: number, told: Set<string>): Buffer[] {
  const at = start + 2 + srvTargetOffset;
  if (at > 0x3fff) return [];
  return (rec.targetAddresses ?? []).flatMap((address) => {
    const found = addressRecord(address);
    const id = `${rec.bytes.toString('latin1', srvTargetOffset)} ${address}`;
    if (found === undefined || told.has(id)) return [];
    told.add(id);
    return [Buffer.concat([Buffer.of(0xc0 | (at >> 8), at & 0xff), found.bytes])];
  });
}
