import { readFileSync } from 'node:fs';
import { isIP, isIPv6 } from 'node:net';
import type { Upstream } from './forward/exchange.ts';
import type { ResolverConfig } from './forward/resolver.ts';
import { toWire } from './wire/name.ts';

/** What the server is told by its configuration file (JSON). */
export interface DnsConfig {
  /** Addresses to listen on, over UDP and TCP. */
  listen: string[];
  port: number;
  /** Where metrics and health are, on 127.0.0.1. */
  httpPort: number;
  /** Blocks of addresses that may ask. */
  allow: string[];
  /** `cluster.local`. */
  domain: string;
  /** Address of the Service `kube-dns`. */
  serverAddress: string;
  /** Blocks of addresses that the cluster has names for. */
  cidrs: string[];
  /** `https://host:port` of the API server, and the files of a client certificate. */
  kubernetes: { server: string; caPath: string; certPath: string; keyPath: string };
  /** Servers that know all other names, each `address` or `address:port` or `[address]:port`. */
  nameservers: string[];
  /** Domain → the servers that know its names. */
  stubDomains: Record<string, string[]>;
  /** Where the names are kept over a restart. */
  snapshotPath: string;
  /** Rancher's own names: their zone, and the file (Metadata) that they are made of. */
  ownNames?: { domain: string; path: string };
  /** Threads that answer; 0: as many as the cores suggest. */
  threads: number;
}

/** @throws Error that names the file, and the field that is wrong. */
export function readConfig(path: string): DnsConfig {
  try {
    const config = JSON.parse(readFileSync(path, 'utf8')) as DnsConfig;
    check(config);
    return config;
  } catch (error) {
    throw new Error(`${path}: ${(error as Error).message}`);
  }
}

function check(config: DnsConfig): void {
  const list = (field: keyof DnsConfig, is: (value: string) => boolean, what: string) => {
    const values = config[field];
    if (!Array.isArray(values) || !values.every((v) => typeof v === 'string' && is(v))) {
      throw new Error(`${field} must be a list of ${what}`);
    }
  };
  list('listen', (v) => isIP(v) > 0, 'addresses');
  if (config.listen.length === 0) throw new Error('listen is empty: name an address to listen on');
  list('allow', isCidr, 'blocks of addresses such as 10.42.0.0/16');
  list('cidrs', isCidr, 'blocks of addresses such as 10.43.0.0/16');
  list('nameservers', isUpstream, 'addresses, with a port where it is not 53');
  for (const field of ['port', 'httpPort', 'threads'] as const) {
    if (!Number.isInteger(config[field]) || config[field] < 0)
      throw new Error(`${field} must be a whole number`);
  }
  for (const [domain, servers] of Object.entries(config.stubDomains)) {
    if (toWire(domain) === undefined) throw new Error(`stubDomains: ${domain} is not a domain name`);
    if (!servers.every(isUpstream)) throw new Error(`stubDomains: ${domain} must have a list of addresses`);
  }
  if (toWire(config.domain) === undefined) throw new Error(`domain ${config.domain} is not a domain name`);
}

function isCidr(text: string): boolean {
  const [address = '', prefix = ''] = text.split('/');
  const version = isIP(address);
  return version > 0 && /^\d+$/.test(prefix) && Number(prefix) <= (version === 4 ? 32 : 128);
}

function isUpstream(text: string): boolean {
  return parseUpstream(text) !== undefined;
}

/** `10.0.0.1`, `10.0.0.1:5353`, `fd00::1`, `[fd00::1]:5353`. Undefined for anything else. */
export function parseUpstream(text: string): Upstream | undefined {
  if (isIP(text) > 0) return { address: text, port: 53 };
  const [, v6, v4, port] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? [];
  const address = v6 ?? v4 ?? '';
  const valid = v6 === undefined ? isIP(address) === 4 : isIPv6(address);
  return valid && Number(port) > 0 && Number(port) < 65_536 ? { address, port: Number(port) } : undefined;
}

export function resolverConfig({ nameservers, stubDomains }: DnsConfig): ResolverConfig {
  const upstreams = (texts: readonly string[]) => texts.map((t) => parseUpstream(t)!);
  return {
    upstreams: upstreams(nameservers),
    stubDomains: Object.entries(stubDomains).map(([domain, servers]) => ({
      name: toWire(domain)!,
      upstreams: upstreams(servers),
    })),
  };
}
