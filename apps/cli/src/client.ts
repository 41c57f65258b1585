import { type ApiClient, ApiError, createClient, unwrap } from '@rancher/api-client';
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

export interface ServerSentEvent {
  id: string;
  data: string;
}

/** What a generated function answers with. */
type Answer<T> = Promise<{ data?: T | undefined; error?: unknown; response?: Response }>;
type PageQuery = { pageSize: number; pageToken?: string };

/** The generated client (`api`), and what every command does with its answers. */
export class Client {
  readonly url: string;
  /** For the generated functions: `getHost({ client: client.api, … })`. */
  readonly api: ApiClient;
  readonly #key: string;

  constructor(url: string, key: string) {
    this.url = url;
    this.#key = key;
    this.api = createClient({ baseUrl: url, key, fetch: (...request) => this.#dial(...request) });
  }

  /**
   * The data of an answer.
   * @throws Problem with the server's reason; Failure when no server answers
   */
  async call<T>(answer: Answer<T>): Promise<NonNullable<T>> {
    let unreachable: unknown;
    // What a failed dial threw comes as `error`, without a response.
    const watched = answer.then((result) => {
      if (result.response === undefined) unreachable = result.error;
      return result;
    });
    try {
      return await unwrap(watched);
    } catch (error) {
      if (unreachable !== undefined) throw unreachable;
      if (error instanceof ApiError) throw new Problem(error.status, error.problem);
      throw error;
    }
  }

  /** Every item of a list, page by page. */
  async all<T>(read: (page: PageQuery) => Answer<{ items: T[]; nextPageToken?: string }>): Promise<T[]> {
    const items: T[] = [];
    let pageToken: string | undefined;
    do {
      const query = { pageSize: 1000, ...(pageToken === undefined ? {} : { pageToken }) };
      const page = await this.call(read(query));
      items.push(...page.items);
      pageToken = page.nextPageToken;
    } while (pageToken !== undefined);
    return items;
  }

  /** Server-sent events of a path, from after `lastEventId`, until the stream ends or `signal` fires. */
  async *stream(path: string, lastEventId: string, signal: AbortSignal): AsyncGenerator<ServerSentEvent> {
    const headers = { accept: 'text/event-stream', 'last-event-id': lastEventId };
    const response = await this.#get(path, headers, signal);
    if (!response.ok) throw await problemOf(response);
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

  /** Whether an environment's API server says that it is ready, asked the way that kubectl goes. */
  async clusterReady(environmentId: string): Promise<boolean> {
    const response = await this.#get(
      `/k8s/environments/${environmentId}/readyz`,
      {},
      AbortSignal.timeout(5000),
    );
    await response.body?.cancel();
    return response.ok;
  }

  #get(path: string, headers: Record<string, string>, signal: AbortSignal): Promise<Response> {
    return this.#dial(new URL(path, this.url), {
      headers: { ...headers, authorization: `Bearer ${this.#key}` },
      signal,
    });
  }

  async #dial(...request: Parameters<typeof fetch>): Promise<Response> {
    try {
      return await fetch(...request);
    } catch (error) {
      if (error instanceof DOMException && error.name === 'AbortError') throw error;
      if (error instanceof DOMException)
        throw new Failure(`the server at ${this.url} does not answer in time`);
      const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
      throw new Failure(
        `no server answers at ${this.url} (${messageOf(cause)}); start it with: ./rancher up`,
      );
    }
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
  let id = '';
  const data: string[] = [];
  for (const line of block.split(/\r?\n/)) {
    const [, field, value = ''] = /^(id|data): ?(.*)$/.exec(line) ?? [];
    if (field === 'id') id = value;
    if (field === 'data') data.push(value);
  }
  return data.length === 0 ? null : { id, data: data.join('\n') };
}
