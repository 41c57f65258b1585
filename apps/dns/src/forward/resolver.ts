import { setTimeout as delay } from 'node:timers/promises';
import { type Counters, counted } from '../metrics.ts';
import { Cache, type CacheLimits, type Entry } from './cache.ts';
import { exchange, type Upstream } from './exchange.ts';
import { keyOf, type Question } from './question.ts';

/** How long a client is kept waiting for a fresh answer where there is a stale one (RFC 8767, 5). */
const stalePatienceMs = 1800;
/** How long nobody is asked again what nobody could answer (RFC 9520). */
const failureMs = 2000;
/** How long a server that failed is asked only after the others. */
const avoidMs = 10_000;
const mostAtOnce = 1000;
/** All tries together; the client gives up after five seconds. */
const deadlineMs = 4000;

export interface StubDomain {
  /** Wire format, lower case. */
  name: Buffer;
  upstreams: readonly Upstream[];
}

export interface ResolverConfig {
  upstreams: readonly Upstream[];
  stubDomains: readonly StubDomain[];
  cache?: CacheLimits;
}

/** Answers about names outside of the cluster: from the cache, else from upstream servers. */
export class Resolver {
  readonly cache: Cache;
  readonly #config: ResolverConfig;
  readonly #counters: Counters;
  readonly #asked = new Map<string, Promise<Entry>>();
  readonly #failedUntil = new Map<string, number>();
  readonly #avoidedUntil = new Map<Upstream, number>();

  constructor(config: ResolverConfig, counters: Counters) {
    this.#config = config;
    this.#counters = counters;
    this.cache = new Cache(config.cache);
  }

  /** A fresh answer, where there is one. One that many ask for is fetched anew before it ends. */
  cached(question: Question, now: number = Date.now()): Entry | undefined {
    const key = keyOf(question);
    const entry = this.cache.get(key, now);
    if (entry === undefined || entry.expiresAt <= now) return undefined;
    this.#counters.count(counted.cacheHits);
    const life = entry.expiresAt - entry.storedAt;
    if (entry.hits >= 3 && entry.expiresAt - now < life / 10) this.#ask(key, question).catch(() => {});
    return entry;
  }

  /**
   * A fresh answer, or a stale one where none is to be had in time.
   * @throws Error that says why there is neither
   */
  async resolve(question: Question): Promise<Entry> {
    const key = keyOf(question);
    const now = Date.now();
    const stale = this.cache.get(key, now);
    if (stale !== undefined && stale.expiresAt > now) return stale;
    if ((this.#failedUntil.get(key) ?? 0) > now)
      return this.#stale(stale, 'nobody could answer a moment ago');
    this.#counters.count(counted.cacheMisses);
    const asked = this.#ask(key, question);
    if (stale === undefined) return await asked;
    const first = await Promise.race([
      asked.catch((error: Error) => error),
      delay(stalePatienceMs, new Error('late'), { ref: false }),
    ]);
    return first instanceof Error ? this.#stale(stale, first.message) : first;
  }

  #stale(entry: Entry | undefined, why: string): Entry {
    if (entry === undefined) throw new Error(why);
    this.#counters.count(counted.cacheStale);
    return entry;
  }

  /** Whoever asks the same meanwhile waits for the same answer. */
  #ask(key: string, question: Question): Promise<Entry> {
    const running = this.#asked.get(key);
    if (running !== undefined) return running;
    if (this.#asked.size >= mostAtOnce) return Promise.reject(new Error('too many questions at once'));
    const asked = this.#fromUpstreams(question)
      .then(
        (answered) => {
          this.#failedUntil.delete(key);
          return this.cache.put(key, answered, Date.now());
        },
        (error) => {
          this.#counters.count(counted.upstreamFailures);
          this.#remember(key);
          throw error;
        },
      )
      .finally(() => this.#asked.delete(key));
    this.#asked.set(key, asked);
    return asked;
  }

  async #fromUpstreams(question: Question) {
    const upstreams = this.#upstreamsFor(question);
    let last = new Error('there is no upstream server');
    const deadline = Date.now() + deadlineMs;
    // The only one is asked twice: a packet may get lost.
    const tries = upstreams.length === 1 ? [...upstreams, ...upstreams] : upstreams;
    for (const upstream of tries) {
      if (Date.now() > deadline) break;
      try {
        const answered = await exchange(upstream, question);
        this.#avoidedUntil.delete(upstream);
        return answered;
      } catch (error) {
        last = error as Error;
        this.#avoidedUntil.set(upstream, Date.now() + avoidMs);
      }
    }
    throw last;
  }

  /** Those of the closest stub domain, else the general ones; those that failed lately come last. */
  #upstreamsFor({ name }: Question): Upstream[] {
    let best: StubDomain | undefined;
    for (const stub of this.#config.stubDomains) {
      if (isBelow(name, stub.name) && stub.name.length > (best?.name.length ?? 0)) best = stub;
    }
    const now = Date.now();
    const avoided = (u: Upstream) => ((this.#avoidedUntil.get(u) ?? 0) > now ? 1 : 0);
    return [...(best?.upstreams ?? this.#config.upstreams)].sort((a, b) => avoided(a) - avoided(b));
  }

  #remember(key: string): void {
    if (this.#failedUntil.size >= mostAtOnce) this.#failedUntil.clear();
    this.#failedUntil.set(key, Date.now() + failureMs);
  }
}

function isBelow(name: Buffer, zone: Buffer): boolean {
  const from = name.length - zone.length;
  if (from < 0 || name.compare(zone, 0, zone.length, from) !== 0) return false;
  let at = 0;
  while (at < from) at += name[at]! + 1;
  return at === from;
}
