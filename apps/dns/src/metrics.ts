/** What is counted on the hot path, by place in one block of memory that all threads share. */
const rcodes = 17;
export const counted = {
  udp: rcodes,
  tcp: rcodes + 1,
  dropped: rcodes + 2,
  refusedSource: rcodes + 3,
  cacheHits: rcodes + 4,
  cacheMisses: rcodes + 5,
  cacheStale: rcodes + 6,
  upstreamFailures: rcodes + 7,
} as const;
const places = rcodes + 8;
const rcodeNames = ['NOERROR', 'FORMERR', 'SERVFAIL', 'NXDOMAIN', 'NOTIMP', 'REFUSED'];

/** Counters of one thread. Adding is not atomic, so each thread has its own block. */
export class Counters {
  readonly memory: SharedArrayBuffer;
  readonly #values: Float64Array;

  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(places * 8)) {
    this.memory = memory;
    this.#values = new Float64Array(memory);
  }

  count(place: number): void {
    this.#values[place]!++;
  }

  get(place: number): number {
    return this.#values[place]!;
  }
}

export interface Gauges {
  names: number;
  cacheEntries: number;
  cacheBytes: number;
  /** Whether the watches of the API server are up. */
  connected: boolean;
  /** When the zone last changed (s since the epoch). */
  changedAt: number;
  residentBytes: number;
}

/** The text format of Prometheus. */
export function metricsText(counters: readonly Counters[], gauges: Gauges): string {
  const sum = (place: number) => counters.reduce((total, c) => total + c.get(place), 0);
  const lines: string[] = [];
  const metric = (name: string, type: string, help: string, values: [string, number][]) => {
    lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
    for (const [labels, value] of values) lines.push(`${name}${labels} ${value}`);
  };
  const byRcode = Array.from({ length: rcodes }, (_, i): [string, number] => [
    `{rcode="${rcodeNames[i] ?? i}"}`,
    sum(i),
  ]).filter(([, value], i) => value > 0 || i < rcodeNames.length);
  metric('rancher_dns_responses_total', 'counter', 'Answers given, by their code.', byRcode);
  metric('rancher_dns_requests_total', 'counter', 'Queries received, by transport.', [
    ['{proto="udp"}', sum(counted.udp)],
    ['{proto="tcp"}', sum(counted.tcp)],
  ]);
  metric('rancher_dns_dropped_total', 'counter', 'Packets that are no queries.', [
    ['', sum(counted.dropped)],
  ]);
  metric('rancher_dns_refused_sources_total', 'counter', 'Queries from neither a pod nor this host.', [
    ['', sum(counted.refusedSource)],
  ]);
  metric(
    'rancher_dns_cache_requests_total',
    'counter',
    'Names outside of the cluster, by what the cache had.',
    [
      ['{result="hit"}', sum(counted.cacheHits)],
      ['{result="miss"}', sum(counted.cacheMisses)],
      ['{result="stale"}', sum(counted.cacheStale)],
    ],
  );
  metric('rancher_dns_upstream_failures_total', 'counter', 'Questions that no upstream server answered.', [
    ['', sum(counted.upstreamFailures)],
  ]);
  metric('rancher_dns_names', 'gauge', 'Names of the cluster.', [['', gauges.names]]);
  metric('rancher_dns_cache_entries', 'gauge', 'Answers from outside that are kept.', [
    ['', gauges.cacheEntries],
  ]);
  metric('rancher_dns_cache_bytes', 'gauge', 'Size of the answers that are kept.', [['', gauges.cacheBytes]]);
  metric('rancher_dns_kubernetes_connected', 'gauge', '1 while the watches of the API server are up.', [
    ['', gauges.connected ? 1 : 0],
  ]);
  metric('rancher_dns_zone_changed_timestamp_seconds', 'gauge', 'When the cluster’s names last changed.', [
    ['', gauges.changedAt],
  ]);
  metric('process_resident_memory_bytes', 'gauge', 'Resident memory.', [['', gauges.residentBytes]]);
  return `${lines.join('\n')}\n`;
}
