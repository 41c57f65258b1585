/** Addresses and blocks of both families as numbers, as far as the `ipBlock` of a policy needs them. */

export type Family = 4 | 6;
export const families: readonly Family[] = [4, 6];

/** Both ends belong to it. */
export interface Range {
  from: bigint;
  to: bigint;
}

export function familyOf(address: string): Family {
  return address.includes(':') ? 6 : 4;
}

/** An address as a number. Zeros in front of a decimal are skipped, as Kubernetes does. Null: it is none. */
export function addressNumber(address: string): bigint | null {
  return familyOf(address) === 4 ? number4(address) : number6(address);
}

function number4(address: string): bigint | null {
  const parts = address.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^\d+$/.test(part) && Number(part) < 256)) return null;
  return parts.reduce((sum, part) => (sum << 8n) | BigInt(Number(part)), 0n);
}

function number6(address: string): bigint | null {
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(address);
  const last = dotted ? number4(dotted[2]!) : null;
  if (dotted && last === null) return null;
  const text =
    last === null ? address : `${dotted![1]}${(last >> 16n).toString(16)}:${(last & 0xffffn).toString(16)}`;
  const halves = text.split('::');
  if (halves.length > 2) return null;
  const [head, tail] = halves.map((half) => (half === '' ? [] : half.split(':')));
  const missing = 8 - head!.length - (tail?.length ?? 0);
  if (tail === undefined ? missing !== 0 : missing < 1) return null;
  const groups = [...head!, ...Array<string>(missing).fill('0'), ...(tail ?? [])];
  if (!groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return null;
  return groups.reduce((sum, group) => (sum << 16n) | BigInt(`0x${group}`), 0n);
}

export function addressText(number: bigint, family: Family): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map((shift) => (number >> shift) & 255n).join('.');
  return Array.from({ length: 8 }, (_, i) => ((number >> BigInt(112 - 16 * i)) & 0xffffn).toString(16)).join(
    ':',
  );
}

/** The addresses of a block; bits behind its prefix are cleared. Null: it is none. */
export function blockRange(cidr: string): Range | null {
  const [address, prefixText, ...rest] = cidr.split('/') as [string, string | undefined, ...string[]];
  const number = addressNumber(address);
  const bits = familyOf(address) === 4 ? 32 : 128;
  if (number === null || rest.length > 0 || !/^\d{1,3}$/.test(prefixText ?? '')) return null;
  const prefix = Number(prefixText);
  if (prefix > bits) return null;
  const size = 1n << BigInt(bits - prefix);
  const from = (number / size) * size;
  return { from, to: from + size - 1n };
}

/** What of `range` lies in none of `holes`, in order. */
export function without(range: Range, holes: Range[]): Range[] {
  const rest: Range[] = [];
  let from = range.from;
  for (const hole of [...holes].sort((a, b) => (a.from < b.from ? -1 : 1))) {
    if (hole.from > range.to) break;
    if (hole.from > from) rest.push({ from, to: hole.from - 1n });
    if (hole.to >= from) from = hole.to + 1n;
  }
  if (from <= range.to) rest.push({ from, to: range.to });
  return rest;
}

/** The same addresses as disjoint ranges that do not touch, in order. */
export function merged(ranges: Range[]): Range[] {
  const result: Range[] = [];
  for (const { from, to } of [...ranges].sort((a, b) => (a.from < b.from ? -1 : 1))) {
    const last = result.at(-1);
    if (!last || from > last.to + 1n) result.push({ from, to });
    else if (to > last.to) last.to = to;
  }
  return result;
}

export function rangeText({ from, to }: Range, family: Family): string {
  const first = addressText(from, family);
  return from === to ? first : `${first}-${addressText(to, family)}`;
}

/** Every address of a family. */
export function wholeRange(family: Family): Range {
  return { from: 0n, to: (1n << (family === 4 ? 32n : 128n)) - 1n };
}
