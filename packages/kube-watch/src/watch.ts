import { setTimeout as delay } from 'node:timers/promises';
import { backoffMs } from './backoff.ts';
import { type KubeClient, KubeError } from './client.ts';
import { linesOf } from './lines.ts';

export interface KubeObject {
  metadata: {
    name: string;
    namespace?: string;
    uid?: string;
    resourceVersion?: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
  };
}

/** `key` is `<namespace>/<name>`, or `<name>` of what has no namespace. */
export type WatchEvent<T> =
  | { type: 'set'; key: string; object: T; previous: T | undefined }
  | { type: 'delete'; key: string; previous: T };

export interface WatchOptions<O extends KubeObject, T> {
  client: KubeClient;
  /** Path of the collection, selectors as its query: `/api/v1/pods?fieldSelector=spec.nodeName%3Dhost-1`. */
  path: string;
  /** What is kept of an object, as small as can be; undefined: nothing, as if it were not there. */
  prune: (object: O) => T | undefined;
  /** Told of each change, in order. What it throws is taken as a failure: everything is listed again. */
  onEvent: (event: WatchEvent<T>) => void;
  /** All that is there has been told: after the first list, and after each later one. */
  onSync?: () => void;
  /** Told in words what goes wrong; the watch goes on by itself. */
  onError?: (message: string) => void;
  /** What is known from before, such as from a file: the first list then tells only what is otherwise. */
  known?: Iterable<readonly [string, T]>;
  /** Objects for each page of a list. */
  pageSize?: number;
}

export interface Watch<T> {
  /** What was last known, also while the API server is away. */
  readonly objects: ReadonlyMap<string, T>;
  /** Resolves after the first list. Never rejects. */
  readonly synced: Promise<void>;
  /** What went wrong last; undefined while the watch is up. */
  readonly error: string | undefined;
  stop(): void;
}

/** A watch falls silent for at most about a minute, when a bookmark comes (KEP-956); then the connection is dead. */
const watchSilenceMs = 100_000;
/** The server ends a watch after 5 to 10 minutes, so that watches spread over several servers anew, as client-go's do. */
const watchSeconds = () => Math.round(300 * (1 + Math.random()));
/** A watch that ends sooner than this, without an error, counts as a failure. */
const shortWatchMs = 1000;

/**
 * Keeps a copy of a collection of objects: lists it in pages, watches from there, resumes where a watch ended, and lists
 * anew when the server no longer knows that resource version (410). Goes on until it is stopped.
 */
export function watchObjects<O extends KubeObject, T>(options: WatchOptions<O, T>): Watch<T> {
  const watcher = new Watcher(options);
  void watcher.run();
  return watcher;
}

interface Kept<T> {
  /** Empty for what is known from before. */
  version: string;
  object: T;
}

interface List<O> {
  metadata: { resourceVersion: string; continue?: string };
  items: O[] | null;
}

interface RawEvent<O> {
  type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  object: O & { code?: number; message?: string };
}

class Watcher<O extends KubeObject, T> implements Watch<T> {
  readonly #options: WatchOptions<O, T>;
  readonly #kept = new Map<string, Kept<T>>();
  readonly #stopped = new AbortController();
  readonly #firstList = Promise.withResolvers<void>();
  /** Where the next watch begins; undefined: a list is due. */
  #version: string | undefined;
  #failures = 0;
  error: string | undefined;

  constructor(options: WatchOptions<O, T>) {
    this.#options = options;
    for (const [key, object] of options.known ?? []) this.#kept.set(key, { version: '', object });
  }

  get objects(): ReadonlyMap<string, T> {
    return new Map([...this.#kept].map(([key, { object }]) => [key, object]));
  }

  get synced(): Promise<void> {
    return this.#firstList.promise;
  }

  stop(): void {
    this.#stopped.abort();
  }

  async run(): Promise<void> {
    while (!this.#stopped.signal.aborted) {
      try {
        if (this.#version === undefined) await this.#list();
        await this.#watch();
        this.#failures = 0;
      } catch (error) {
        if (this.#stopped.signal.aborted) return;
        await this.#failed(error);
      }
    }
  }

  async #failed(error: unknown): Promise<void> {
    this.#failures++;
    this.error = describe(error);
    const gone = error instanceof KubeError && error.status === 410;
    if (gone || error instanceof ListenerError) this.#version = undefined;
    // The server forgetting what is old is nothing that went wrong.
    if (gone && this.#failures === 1) return;
    this.#options.onError?.(this.error);
    const asked = error instanceof KubeError ? error.retryAfterMs : undefined;
    const pause = Math.max(backoffMs(this.#failures), asked ?? 0);
    await delay(pause, undefined, { signal: this.#stopped.signal }).catch(() => {});
  }

  async #list(): Promise<void> {
    const { client, path, pageSize = 500, onSync } = this.#options;
    const seen = new Set<string>();
    let token = '';
    do {
      const page = withQuery(path, { limit: `${pageSize}`, ...(token === '' ? {} : { continue: token }) });
      const list = await client.json<List<O>>(page, { signal: this.#stopped.signal });
      for (const object of list.items ?? []) {
        seen.add(keyOf(object));
        this.#set(object);
      }
      token = list.metadata.continue ?? '';
      if (token === '') this.#version = list.metadata.resourceVersion;
    } while (token !== '');
    for (const key of this.#kept.keys()) if (!seen.has(key)) this.#delete(key);
    this.error = undefined;
    onSync?.();
    this.#firstList.resolve();
  }

  async #watch(): Promise<void> {
    const { client, path } = this.#options;
    const response = await client.open(
      withQuery(path, {
        watch: 'true',
        allowWatchBookmarks: 'true',
        resourceVersion: this.#version!,
        timeoutSeconds: `${watchSeconds()}`,
      }),
      { signal: this.#stopped.signal, silenceMs: watchSilenceMs },
    );
    this.error = undefined;
    const since = performance.now();
    for await (const line of linesOf(response)) {
      this.#take(JSON.parse(line) as RawEvent<O>);
      this.#failures = 0;
    }
    if (performance.now() - since < shortWatchMs) throw new Error('the watch ended at once');
  }

  #take({ type, object }: RawEvent<O>): void {
    if (type === 'ERROR') throw new KubeError(object.code ?? 500, object.message ?? 'the watch failed');
    if (type === 'DELETED') this.#delete(keyOf(object));
    else if (type !== 'BOOKMARK') this.#set(object);
    this.#version = object.metadata.resourceVersion;
  }

  #set(object: O): void {
    const key = keyOf(object);
    const before = this.#kept.get(key);
    const version = object.metadata.resourceVersion ?? '';
    if (before !== undefined && version !== '' && before.version === version) return;
    const pruned = this.#options.prune(object);
    if (pruned === undefined) {
      this.#delete(key);
      return;
    }
    this.#kept.set(key, { version, object: pruned });
    this.#tell({ type: 'set', key, object: pruned, previous: before?.object });
  }

  #delete(key: string): void {
    const before = this.#kept.get(key);
    if (before === undefined) return;
    this.#kept.delete(key);
    this.#tell({ type: 'delete', key, previous: before.object });
  }

  #tell(event: WatchEvent<T>): void {
    try {
      this.#options.onEvent(event);
    } catch (cause) {
      // Its version is forgotten, so that the next list tells it again.
      const kept = this.#kept.get(event.key);
      if (kept !== undefined) kept.version = '';
      throw new ListenerError(`${event.key}: ${describe(cause)}`, { cause });
    }
  }
}

/** Whoever listens failed over an object, and may have missed it. */
class ListenerError extends Error {}

function keyOf({ metadata }: KubeObject): string {
  return metadata.namespace === undefined ? metadata.name : `${metadata.namespace}/${metadata.name}`;
}

function withQuery(path: string, query: Record<string, string>): string {
  return `${path}${path.includes('?') ? '&' : '?'}${new URLSearchParams(query)}`;
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message || String((error as { code?: string }).code) : String(error);
}
