import { Failure, messageOf } from './errors.ts';

/** A problem (RFC 9457) that the server answered with, in its words. */
export class Problem extends Failure {
  readonly status: number;
  readonly code: string;
  constructor(status: number, body: { code?: string; detail?: string; title?: string; pointer?: string }) {
    const detail = body.detail ?? body.title ?? `the server answered ${status}`;
    const field = body.pointer === undefined || detail.includes(body.pointer) ? '' : `${body.pointer}: `;
    super(`${field}${detail}`);
    this.name = 'Problem';
    this.status = status;
    this.code = body.code ?? '';
  }
}

export interface RequestOptions {
  query?: Record<string, string | number | boolean | undefined>;
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

export interface ServerSentEvent {
  id: string;
  event: string;
  data: string;
}

/** The REST API, as the CLI uses it. */
export class Client {
  readonly url: string;
  readonly #key: string;

  constructor(url: string, key: string) {
    this.url = url;
    this.#key = key;
  }

  /**
   * @throws Problem with the server's reason; Failure when no server answers.
   */
  async request<T>(method: string, path: string, options: RequestOptions = {}): Promise<T> {
    const response = await this.#fetch(method, path, options);
    const text = await response.text();
    return (text === '' ? undefined : JSON.parse(text)) as T;
  }

  get<T>(path: string, query: RequestOptions['query'] = {}): Promise<T> {
    return this.request<T>('GET', path, { query });
  }

  /** Every item of a list, page by page. */
  async all<T>(
    path: string,
    query: RequestOptions['query'] = {},
    options: Pick<RequestOptions, 'signal'> = {},
  ): Promise<T[]> {
    const items: T[] = [];
    let pageToken: string | undefined;
    do {
      const page = await this.request<{ items: T[]; nextPageToken?: string }>('GET', path, {
        ...options,
        query: { pageSize: 1000, ...query, pageToken },
      });
      items.push(...page.items);
      pageToken = page.nextPageToken;
    } while (pageToken !== undefined);
    return items;
  }

  /** Server-sent events, until the stream ends or `signal` fires. */
  async *stream(path: string, options: RequestOptions = {}): AsyncGenerator<ServerSentEvent> {
    const response = await this.#fetch('GET', path, {
      ...options,
      headers: { ...options.headers, accept: 'text/event-stream' },
    });
    let buffered = '';
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
      buffered += chunk;
      const blocks = buffered.split(/\r?\n\r?\n/);
      buffered = blocks.pop() ?? '';
      for (const block of blocks) {
        const event = parseBlock(block);
        if (event !== null) yield event;
      }
    }
  }

  async #fetch(method: string, path: string, options: RequestOptions): Promise<Response> {
    const url = new URL(path, this.url);
    for (const [name, value] of Object.entries(options.query ?? {})) {
      if (value !== undefined) url.searchParams.set(name, String(value));
    }
    let response: Response;
    try {
      response = await fetch(url, {
        method,
        headers: {
          authorization: `Bearer ${this.#key}`,
          ...(options.body === undefined ? {} : { 'content-type': 'application/json' }),
          ...options.headers,
        },
        ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
        ...(options.signal === undefined ? {} : { signal: options.signal }),
      });
    } catch (error) {
      if (options.signal?.aborted) {
        if (error instanceof DOMException && error.name === 'TimeoutError') {
          throw new Failure(`the server at ${this.url} does not answer in time`);
        }
        throw error;
      }
      const cause =
        error instanceof Error && error.cause !== undefined ? messageOf(error.cause) : messageOf(error);
      throw new Failure(`no server answers at ${this.url} (${cause}); start it with: ./rancher up`);
    }
    if (!response.ok) throw await problemOf(response);
    return response;
  }
}

async function problemOf(response: Response): Promise<Problem> {
  const text = await response.text();
  try {
    return new Problem(response.status, JSON.parse(text));
  } catch {
    return new Problem(response.status, { detail: text.slice(0, 500) || response.statusText });
  }
}

function parseBlock(block: string): ServerSentEvent | null {
  const event: ServerSentEvent = { id: '', event: 'message', data: '' };
  const data: string[] = [];
  for (const line of block.split(/\r?\n/)) {
    const [, field, value] = /^(id|event|data): ?(.*)$/.exec(line) ?? [];
    if (field === 'id') event.id = value ?? '';
    if (field === 'event') event.event = value ?? '';
    if (field === 'data') data.push(value ?? '');
  }
  return data.length === 0 ? null : { ...event, data: data.join('\n') };
}
