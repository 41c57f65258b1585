import { isIP } from 'node:net';
import { encode } from 'dns-packet';
import { type as recordType } from '../wire/constants.ts';
import type { EndpointSlice, Port, Service } from './objects.ts';
import { reverseName } from './zones.ts';

/** One record of a name. */
export interface Rec {
  type: number;
  /** From the type on: type, class, TTL, length and data, in wire format. */
  bytes: Buffer;
  /** Of a SRV record: its target's addresses, told along with it. */
  targetAddresses?: readonly string[];
}

/** Records by name (text, lower case, no last dot). A name without records exists, and has nothing to tell. */
export type Records = Map<string, Rec[]>;

/** How many seconds the records of the cluster may be kept. */
const ttl = 30;
const markerType = 0;
/** Makes a name exist that has no records. */
export const marker: Rec = { type: markerType, bytes: Buffer.alloc(0) };

type Data = { type: 'A' | 'AAAA' | 'PTR' | 'CNAME' | 'NS'; data: string } | { type: 'TXT'; data: string };
interface SrvData {
  type: 'SRV';
  data: { port: number; target: string; priority: number; weight: number };
}

function record(data: Data | SrvData, extra: Partial<Rec> = {}): Rec {
  // The library's own encoding of a whole message with this one record, of the root: its name is one byte.
  const message = encode({ type: 'response', answers: [{ name: '.', class: 'IN', ttl, ...data }] });
  return { type: recordType[data.type], bytes: Buffer.from(message.subarray(13)), ...extra };
}

export function addressRecord(address: string): Rec | undefined {
  const version = isIP(address);
  if (version === 4) return record({ type: 'A', data: address });
  // As in URLs, the zone of a link-local address means something on one host alone.
  return version === 6 ? record({ type: 'AAAA', data: address.split('%')[0]! }) : undefined;
}

/** What a zone has besides what its objects say: dns-version (specification 1.1.0, 2.2), its name server. */
export function fixedRecords(domain: string, serverAddress: string): Records {
  const server = addressRecord(serverAddress);
  return new Map([
    [domain, [record({ type: 'NS', data: `ns.dns.${domain}` })]],
    [`ns.dns.${domain}`, server === undefined ? [] : [server]],
    [`dns-version.${domain}`, [record({ type: 'TXT', data: '1.1.0' })]],
    [`svc.${domain}`, [marker]],
    [`pod.${domain}`, [marker]],
  ]);
}

/** A namespace's names exist with it: pods' are told from it alone. */
export function namespaceRecords(namespace: string, domain: string): Records {
  return new Map([
    [`${namespace}.svc.${domain}`, [marker]],
    [`${namespace}.pod.${domain}`, [marker]],
  ]);
}

/** Plain addresses of a name. */
export function addressRecords(name: string, addresses: readonly string[]): Records {
  const records = addresses.map(addressRecord).filter((r) => r !== undefined);
  return new Map([[name, records.length === 0 ? [marker] : records]]);
}

/**
 * The records of one Service, after the Kubernetes DNS specification 1.1.0, 2.3 to 2.5. A headless Service without a ready
 * endpoint has no name (2.4.1).
 */
export function serviceRecords(
  key: string,
  service: Service,
  slices: readonly EndpointSlice[],
  domain: string,
): Records {
  const [namespace, name] = key.split('/');
  const builder = new Builder(`${name}.${namespace}.svc.${domain}`);
  if (service.externalName !== undefined) builder.external(service.externalName);
  else if (service.headless) builder.headless(readySlices(service, slices));
  else {
    builder.clusterIp(service);
    builder.namedEndpoints(readySlices(service, slices));
  }
  return builder.records;
}

function readySlices(service: Service, slices: readonly EndpointSlice[]): EndpointSlice[] {
  const wanted = (e: { ready: boolean }) => e.ready || service.publishNotReady;
  return slices.map((slice) => ({ ...slice, endpoints: slice.endpoints.filter(wanted) }));
}

class Builder {
  readonly records: Records = new Map();
  readonly #base: string;

  constructor(base: string) {
    this.#base = base;
  }

  external(target: string): void {
    if (isIP(target) === 0) this.#add(this.#base, record({ type: 'CNAME', data: target.toLowerCase() }));
  }

  clusterIp(service: Service): void {
    for (const address of service.addresses) {
      this.#add(this.#base, addressRecord(address));
      this.#pointer(address, this.#base);
    }
    this.#srv(service.ports.map((port) => ({ port, target: this.#base, addresses: service.addresses })));
  }

  headless(slices: readonly EndpointSlice[]): void {
    const targets = new Map<string, { port: Port; target: string; addresses: string[] }>();
    for (const { endpoints, ports } of slices) {
      for (const endpoint of endpoints) {
        const target = this.#endpoint(endpoint);
        this.#add(this.#base, addressRecord(endpoint.address));
        for (const port of ports) {
          const id = `${port.name} ${port.protocol} ${port.port} ${target}`;
          const known = targets.get(id);
          if (known === undefined) targets.set(id, { port, target, addresses: [endpoint.address] });
          else if (!known.addresses.includes(endpoint.address)) known.addresses.push(endpoint.address);
        }
      }
    }
    this.#srv([...targets.values()]);
  }

  /** Endpoints that have a hostname have a name of their own also where the Service has an address. */
  namedEndpoints(slices: readonly EndpointSlice[]): void {
    for (const { endpoints } of slices) {
      for (const endpoint of endpoints) if (endpoint.hostname !== undefined) this.#endpoint(endpoint);
    }
  }

  /** The name of an endpoint: its hostname, else its address with dashes. */
  #endpoint({ address, hostname }: { address: string; hostname?: string }): string {
    const name = `${hostname ?? address.replace(/[.:]/g, '-')}.${this.#base}`.toLowerCase();
    this.#add(name, addressRecord(address));
    this.#pointer(address, name);
    return name;
  }

  /** At the name of each named port; and at the Service's own name those of all, as CoreDNS does. */
  #srv(targets: readonly { port: Port; target: string; addresses: readonly string[] }[]): void {
    const groups = new Map<string, typeof targets>();
    const group = (name: string, target: (typeof targets)[number]) =>
      groups.set(name, [...(groups.get(name) ?? []), target]);
    for (const target of targets) {
      const { port } = target;
      group(this.#base, target);
      if (port.name !== '') group(`_${port.name}._${port.protocol}.${this.#base}`.toLowerCase(), target);
    }
    for (const [name, members] of groups) {
      const weight = Math.max(1, Math.floor(100 / members.length));
      for (const { port, target, addresses } of members) {
        const data = { port: port.port, target, priority: 0, weight };
        this.#add(name, record({ type: 'SRV', data }, { targetAddresses: addresses }));
      }
    }
  }

  #pointer(address: string, target: string): void {
    const name = reverseName(address);
    if (name !== undefined) this.#add(name, record({ type: 'PTR', data: target }));
  }

  #add(name: string, added: Rec | undefined): void {
    if (added === undefined) return;
    const records = this.records.get(name) ?? [];
    if (records.some((r) => r.bytes.equals(added.bytes))) return;
    records.push(added);
    this.records.set(name, records);
  }
}
