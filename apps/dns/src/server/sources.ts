import { BlockList, isIPv6 } from 'node:net';

/** How many answers are remembered; there are as many as pods and a few more. */
const mostRemembered = 10_000;

/** Who may ask: pods and this host. A server that asks others on anybody's behalf is a tool for attacks (RFC 5358). */
export class Sources {
  readonly #allowed = new BlockList();
  readonly #known = new Map<string, boolean>();

  /** @param cidrs such as `10.42.0.0/16` */
  constructor(cidrs: readonly string[]) {
    for (const cidr of cidrs) {
      const [address = '', prefix = ''] = cidr.split('/');
      const family = isIPv6(address) ? 'ipv6' : 'ipv4';
      this.#allowed.addSubnet(address, Number(prefix || (family === 'ipv6' ? 128 : 32)), family);
    }
  }

  allows(address: string): boolean {
    const known = this.#known.get(address);
    if (known !== undefined) return known;
    const allowed = this.#allowed.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
    if (this.#known.size >= mostRemembered) this.#known.clear();
    this.#known.set(address, allowed);
    return allowed;
  }
}
