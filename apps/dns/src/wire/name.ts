import { maxNameBytes } from './constants.ts';

/**
 * A name in wire format, in lower case and absolute: `a.b` → 1 a 1 b 0. Undefined where a label is empty or longer than 63
 * bytes, or the whole longer than 255.
 */
export function toWire(name: string): Buffer | undefined {
  const labels = name.replace(/\.$/, '').toLowerCase().split('.');
  if (labels.length === 1 && labels[0] === '') return Buffer.of(0);
  const parts: Buffer[] = [];
  for (const label of labels) {
    const bytes = Buffer.from(label, 'latin1');
    if (bytes.length === 0 || bytes.length > 63) return undefined;
    parts.push(Buffer.of(bytes.length), bytes);
  }
  const wire = Buffer.concat([...parts, Buffer.of(0)]);
  return wire.length <= maxNameBytes ? wire : undefined;
}

/** FNV-1a over the bytes of a wire name in lower case. */
export function hashOf(wire: Uint8Array, from = 0, to: number = wire.length): number {
  let hash = 0x811c9dc5;
  for (let i = from; i < to; i++) hash = Math.imul(hash ^ wire[i]!, 0x01000193);
  return hash;
}
