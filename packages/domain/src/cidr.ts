import { DomainError } from './errors.ts';

/** An IPv4 block (RFC 4632). `base` is its first address, as a number. */
export interface Cidr {
  base: number;
  prefix: number;
  text: string;
}

const octet = '(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)';
const pattern = new RegExp(`^${octet}\\.${octet}\\.${octet}\\.${octet}/(3[0-2]|[12]?\\d)$`);

/**
 * Reads an IPv4 block such as `10.42.0.0/16`.
 * @throws DomainError `invalid_value` when it is none, or when bits are set behind its prefix (`10.42.0.1/16`).
 */
export function parseCidr(text: string, pointer?: string): Cidr {
  const at = pointer === undefined ? {} : { pointer };
  const match = pattern.exec(text);
  if (match === null)
    throw new DomainError('invalid_value', `${text} is not an IPv4 CIDR such as 10.42.0.0/16`, at);
  const [a, b, c, d, prefix] = match.slice(1).map(Number) as [number, number, number, number, number];
  const address = ((a * 256 + b) * 256 + c) * 256 + d;
  const cidr: Cidr = { base: address - (address % 2 ** (32 - prefix)), prefix, text };
  if (cidr.base !== address) {
    throw new DomainError(
      'invalid_value',
      `${text} has bits set behind its prefix: write ${formatAddress(cidr.base)}/${prefix}`,
      at,
    );
  }
  return cidr;
}

/** Number of addresses in a block. */
export function cidrSize(cidr: Cidr): number {
  return 2 ** (32 - cidr.prefix);
}

/** Whether two blocks share an address. */
export function overlaps(a: Cidr, b: Cidr): boolean {
  return a.base < b.base + cidrSize(b) && b.base < a.base + cidrSize(a);
}

/** Whether an IPv4 address in text form lies in the block; false for what is no address. */
export function cidrContains(cidr: Cidr, address: string): boolean {
  if (!pattern.test(`${address}/32`)) return false;
  const { base } = parseCidr(`${address}/32`);
  return base >= cidr.base && base < cidr.base + cidrSize(cidr);
}

/**
 * The nth address of a block, counted from its base (0), as text.
 * @throws DomainError `cidr_too_small` when the block does not reach that far.
 */
export function nthAddress(cidr: Cidr, n: number): string {
  if (n < 0 || n >= cidrSize(cidr)) {
    throw new DomainError('cidr_too_small', `${cidr.text} has no address number ${n}`);
  }
  return formatAddress(cidr.base + n);
}

function formatAddress(address: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join('.');
}
