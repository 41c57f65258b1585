import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Metadata } from '@rancher/domain';
import { type Answer, answerTo, segmentsOf } from './answer.ts';
import { type Caller, treeOf } from './tree.ts';

const defaultWaitS = 60;
const longestWaitS = 300;
/** Callers are of this one host: more at a time are a mistake of theirs. */
const mostConnections = 256;

export interface MetadataSource {
  hostId(): string | undefined;
  /** The last known; undefined before the first. */
  metadata(): Metadata | undefined;
  /** Who is at the other end, or undefined for one who is not of this host. `closely`: the service too, which costs. */
  caller(address: string, port: number, closely: boolean): Caller | undefined;
}

/** Answers metadata by HTTP, as Rancher 1.x did (docs/metadata.md). */
export class MetadataServer {
  readonly #source: MetadataSource;
  readonly #server: Server;
  readonly #waiting = new Set<() => void>();

  constructor(source: MetadataSource) {
    this.#source = source;
    this.#server = createServer((request, response) => {
      void this.#handle(request, response).catch(() => response.destroy());
    });
    this.#server.maxConnections = mostConnections;
    this.#server.requestTimeout = 10_000;
  }

  /** @throws Error such as EADDRINUSE */
  async listen(port: number, address: string): Promise<number> {
    this.#server.listen(port, address);
    await once(this.#server, 'listening');
    this.#server.unref();
    return (this.#server.address() as AddressInfo).port;
  }

  /** There is another version: who waits for one may look. */
  changed(): void {
    for (const look of [...this.#waiting]) look();
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
    this.changed();
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    request.resume();
    if (request.method !== 'GET' && request.method !== 'HEAD')
      return refuse(response, 405, 'Only GET is answered here\n', { allow: 'GET, HEAD' });
    const url = new URL(request.url ?? '/', 'http://metadata');
    const wait = waitOf(url.searchParams);
    if (typeof wait === 'string') return refuse(response, 400, `${wait}\n`);
    let answer = this.#answer(request, url.pathname);
    const until = Date.now() + wait.forMs;
    while (typeof answer !== 'string' && answer.body === wait.value && Date.now() < until) {
      await this.#change(until - Date.now(), response);
      if (response.destroyed || !this.#server.listening) return void response.destroy();
      answer = this.#answer(request, url.pathname);
    }
    if (answer === 'foreign')
      return refuse(response, 403, 'Only pods and processes of this host are answered\n');
    if (answer === 'nothing') return refuse(response, 503, 'This host has not been told yet; ask again\n');
    response.writeHead(answer.status, { 'content-type': answer.type, 'cache-control': 'no-store' });
    response.end(request.method === 'HEAD' ? undefined : answer.body);
  }

  #answer(request: IncomingMessage, path: string): Answer | 'foreign' | 'nothing' {
    const { remoteAddress = '', remotePort = 0 } = request.socket;
    const part = segmentsOf(path)?.[1];
    const caller = this.#source.caller(remoteAddress, remotePort, part === undefined || part === 'self');
    if (caller === undefined) return 'foreign';
    const [metadata, hostId] = [this.#source.metadata(), this.#source.hostId()];
    if (metadata === undefined || hostId === undefined) return 'nothing';
    const json = (request.headers.accept ?? '').includes('application/json');
    return answerTo(path, json, treeOf(metadata, hostId, caller));
  }

  /** Until another version is there, the time is over, or the caller has gone. */
  async #change(forMs: number, response: ServerResponse): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, forMs);
    this.#waiting.add(resolve);
    response.once('close', resolve);
    await promise;
    clearTimeout(timer);
    this.#waiting.delete(resolve);
    response.off('close', resolve);
  }
}

/** `?wait=true&value=…&maxWait=…`: what is not to be told again, and for how long. A text says what is wrong. */
function waitOf(query: URLSearchParams): { value: string | undefined; forMs: number } | string {
  if (query.get('wait') !== 'true') return { value: undefined, forMs: 0 };
  const asked = query.get('maxWait');
  const seconds = asked === null ? defaultWaitS : Number(asked);
  if (asked === '' || !Number.isInteger(seconds) || seconds < 0)
    return `maxWait is a number of seconds from 0 to ${longestWaitS}, not "${asked}"`;
  return { value: query.get('value') ?? undefined, forMs: Math.min(seconds, longestWaitS) * 1000 };
}

function refuse(
  response: ServerResponse,
  status: number,
  text: string,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', ...headers });
  response.end(text);
}
