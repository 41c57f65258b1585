import { randomInt } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import {
  type AgentMessage,
  type AgentRequest,
  agentPaths,
  agentTimings,
  machineHeader,
  type ServerMessage,
  type ServerRequest,
} from '@rancher/contracts';
import { WebSocket } from 'ws';
import { describe } from '../errors.ts';
import type { Log } from '../log.ts';
import { dial } from './dial.ts';
import { HttpError, readText, refusal, type ServerAccess } from './http.ts';
import { PendingRequests } from './pending-requests.ts';

const firstDelayMs = 200;
const lastDelayMs = 10_000;

export interface ConnectionHandlers {
  /** What is said first: the whole truth, before anything comes down. */
  hello(): AgentMessage;
  onMessage(message: Exclude<ServerMessage, { type: 'reply' | 'ping' | 'pong' | 'request' }>): void;
  /** @throws Error whose message the server is told. */
  onRequest(request: ServerRequest): Promise<unknown>;
  /** The server refused the credential: the host was removed there (401), or another machine has its identity. */
  onRefused(error: HttpError): void;
  onChange(connected: boolean): void;
}

/**
 * The control socket: dialled by the agent, to any server of the list, again and again with jitter, and dropped when the
 * other side has been silent for 15 s, whatever TCP believes.
 */
export class Connection {
  readonly #urls: string[];
  readonly #pin: string | undefined;
  /** Which machine this is, see `HostFacts.machineFingerprint`. */
  readonly #machine: string | undefined;
  readonly #credential: string;
  readonly #handlers: ConnectionHandlers;
  readonly #log: Log;
  readonly #pending = new PendingRequests();
  readonly #closed = new AbortController();
  #socket: WebSocket | undefined;
  #url: string;
  #heardAt = 0;

  constructor(
    config: { serverUrls: string[]; caSha256?: string; machine?: string },
    credential: string,
    handlers: ConnectionHandlers,
    log: Log,
  ) {
    this.#urls = config.serverUrls;
    this.#url = config.serverUrls[0]!;
    this.#pin = config.caSha256;
    this.#machine = config.machine;
    this.#credential = credential;
    this.#handlers = handlers;
    this.#log = log;
  }

  get connected(): boolean {
    return this.#socket !== undefined;
  }

  /** Where and how the server that is connected, or was last, answers other requests. */
  get server(): ServerAccess {
    return { url: this.#url, pin: this.#pin, credential: this.#credential };
  }

  /** Dials until {@link close}; returns then. */
  async run(): Promise<void> {
    const { signal } = this.#closed;
    for (let attempt = 0; !signal.aborted; attempt++) {
      this.#url = this.#urls[attempt % this.#urls.length]!;
      const before = Date.now();
      try {
        await this.#connectOnce();
      } catch (error) {
        this.#log.warn('no connection to the server', { url: this.#url, error: describe(error) });
      }
      if (Date.now() - before > lastDelayMs) attempt = 0;
      await delay(reconnectDelay(attempt), undefined, { signal }).catch(() => {});
    }
  }

  close(): void {
    this.#closed.abort();
    this.#socket?.terminate();
  }

  /** Sends when connected; says whether it was. What is not sent is said again by the next hello. */
  send(message: AgentMessage): boolean {
    if (this.#socket === undefined) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  /** @throws Error with the server's words; or when there is no connection, or it is lost before the answer. */
  async request<T>(request: AgentRequest): Promise<T> {
    return (await this.#pending.ask((id) => this.send({ type: 'request', id, ...request }))) as T;
  }

  /**
   * Opens another WebSocket to the same server. `prepare` gets it before it is open, to listen from the first byte on:
   * the server may speak at once.
   */
  async openWebSocket(path: string, prepare: (ws: WebSocket) => void): Promise<WebSocket> {
    const url = new URL(path, this.#url);
    const socket = await dial(url, this.#pin);
    const ws = new WebSocket(url.href.replace(/^http/, 'ws'), {
      createConnection: () => socket,
      headers: {
        authorization: `Bearer ${this.#credential}`,
        ...(this.#machine === undefined ? {} : { [machineHeader]: this.#machine }),
      },
      perMessageDeflate: false,
    });
    prepare(ws);
    await new Promise<void>((resolve, reject) => {
      ws.once('open', resolve);
      ws.once('error', reject);
      ws.once('unexpected-response', (_request, response: IncomingMessage) => {
        readText(response).then((text) => reject(refusal(response.statusCode ?? 0, text)), reject);
      });
    });
    return ws;
  }

  async #connectOnce(): Promise<void> {
    const closed = Promise.withResolvers<void>();
    const prepare = (socket: WebSocket) => {
      socket.once('close', closed.resolve);
      socket.on('error', (error) => this.#log.warn('the connection failed', { error: describe(error) }));
      socket.on('message', (data) => this.#receive(String(data)));
    };
    const ws = await this.openWebSocket(agentPaths.connect, prepare).catch((error) => {
      if (error instanceof HttpError && (error.status === 401 || error.status === 409))
        this.#handlers.onRefused(error);
      throw error;
    });
    if (this.#closed.signal.aborted) return ws.terminate();
    this.#socket = ws;
    this.#heardAt = Date.now();
    const heartbeat = setInterval(() => this.#beat(ws), agentTimings.pingSeconds * 1000);
    this.#log.info('connected', { url: this.#url });
    this.send(this.#handlers.hello());
    this.#handlers.onChange(true);
    await closed.promise;
    clearInterval(heartbeat);
    this.#socket = undefined;
    this.#pending.failAll('the connection to the server was lost');
    this.#log.warn('disconnected', { url: this.#url });
    this.#handlers.onChange(false);
  }

  #beat(ws: WebSocket): void {
    if (Date.now() - this.#heardAt > agentTimings.silentAfterSeconds * 1000) {
      this.#log.warn('the server is silent: dialling again', { url: this.#url });
      ws.terminate();
      return;
    }
    this.send({ type: 'ping', at: Date.now() });
  }

  #receive(text: string): void {
    this.#heardAt = Date.now();
    const message = JSON.parse(text) as ServerMessage;
    switch (message.type) {
      case 'ping':
        this.send({ type: 'pong', at: message.at });
        return;
      case 'pong':
        return;
      case 'reply':
        this.#pending.settle(message);
        return;
      case 'request':
        void this.#answer(message);
        return;
      default:
        this.#handlers.onMessage(message);
    }
  }

  async #answer(request: { id: number } & ServerRequest): Promise<void> {
    try {
      const result = await this.#handlers.onRequest(request);
      this.send({ type: 'reply', id: request.id, ok: true, result });
    } catch (error) {
      this.send({ type: 'reply', id: request.id, ok: false, error: describe(error) });
    }
  }
}

/** Doubles from 0.2 s to 10 s; half of it is chance, so that many hosts do not come back in step. */
export function reconnectDelay(attempt: number): number {
  const full = Math.min(lastDelayMs, firstDelayMs * 2 ** Math.min(attempt, 10));
  return full / 2 + randomInt(Math.ceil(full / 2));
}
