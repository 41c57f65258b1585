import { type DnsConfig, resolverConfig } from '../config.ts';
import { Resolver } from '../forward/resolver.ts';
import type { Counters } from '../metrics.ts';
import type { AnswerTable } from '../zone/table.ts';
import { Zones } from '../zone/zones.ts';
import { Engine } from './engine.ts';
import { Responder } from './responder.ts';
import { Sources } from './sources.ts';
import { listenTcp } from './tcp.ts';
import { type Listener, listenUdp } from './udp.ts';

export interface Serving {
  setTable(table: AnswerTable): void;
  resolver: Resolver;
  close(): void;
}

/** Answers in this thread, on every address of the configuration. @throws Error when one cannot be had */
export async function serve(
  config: DnsConfig,
  zones: Zones,
  parts: { table: AnswerTable; counters: Counters; isReady: () => boolean },
): Promise<Serving> {
  const { counters } = parts;
  const responder = new Responder({ zones, ...parts });
  const resolver = new Resolver(resolverConfig(config), counters);
  const engine = new Engine(responder, resolver, counters);
  const sources = new Sources([
    ...config.allow,
    ...config.listen.map((a) => `${a}/${a.includes(':') ? 128 : 32}`),
  ]);
  const listeners: Listener[] = [];
  for (const address of config.listen) {
    const server = { address, port: config.port, engine, sources, counters };
    listeners.push(await listenUdp(server), await listenTcp(server));
  }
  return {
    resolver,
    setTable: (table) => {
      responder.table = table;
    },
    close: () => listeners.forEach((listener) => void listener.close()),
  };
}

/** The zones of a configuration. */
export function zonesOf(config: DnsConfig, serial: number): Zones {
  const others = config.ownNames === undefined ? [] : [config.ownNames.domain];
  return new Zones({ domain: config.domain, cidrs: config.cidrs, others }, serial);
}
