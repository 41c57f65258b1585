import { once } from 'node:events';
import type { AgentMessage, ServerMessage, ServerRequest } from '@rancher/contracts';
import { DomainError } from '@rancher/domain';
import type { WebSocket } from 'ws';

/** More than this unsent to one agent means that it does not read: it is dropped and dials again (bytes). */
const maxBuffered = 16 * 1024 * 1024;
const askTimeoutMs = 10_000;
/** Heard of within this, an agent is there; asked, it says so within this (ms). */
const answersWithinMs = 1_000;

interface Pending {
  resolve(result: unknown): void;
  reject(error: Error): void;
  timer: NodeJS.Timeout;
}

export interface ConnectionInfo {
  id: string;
  hostId: string;
  environmentId: string | null;
}

/** One agent's control socket: messages out, requests with their replies. What comes in goes to `onMessage`. */
export class Connection {
  readonly info: ConnectionInfo;
  /** When anything was last heard (ms). */
  heardAt = Date.now();
  /** Hashes of the specs that this connection was sent. */
  readonly sentSpecs = new Set<string>();
  /** Hash of what it acts on in the last slice that it was sent. */
  sentSlice: string | undefined;
  /** Version of the metadata that it was sent last. */
  sentMetadata: string | undefined;
  /** `hello` was recorded: slices may come. */
  greeted = false;
  /** It can make local hosts, so that an empty list of them says something. */
  makesLocalHosts = false;
  readonly #socket: WebSocket;
  readonly #pending = new Map<number, Pending>();
  #looking: Promise<boolean> | undefined;
  #nextId = 1;

  constructor(
    info: ConnectionInfo,
    socket: WebSocket,
    onMessage: (message: AgentMessage) => unknown,
    onClose: () => void,
  ) {
    this.info = info;
    this.#socket = socket;
    socket.on('message', (data, isBinary) => {
      this.heardAt = Date.now();
      const message = isBinary ? undefined : parse(String(data));
      if (message === undefined) this.close(1003, 'not a message of the protocol');
      else if (message.type === 'ping') this.send({ type: 'pong', at: message.at });
      else if (message.type === 'reply') this.#settle(message);
      else this.#hand(message, onMessage);
    });
    socket.on('error', () => socket.terminate());
    socket.on('close', () => {
      for (const pending of this.#pending.values()) {
        clearTimeout(pending.timer);
        pending.reject(new DomainError('host_unreachable', 'The agent of the host hung up.'));
      }
      this.#pending.clear();
      onClose();
    });
  }

  send(message: ServerMessage): void {
    this.sendText(JSON.stringify(message));
  }

  /** A message that is a text already, as the same one goes to several hosts. */
  sendText(text: string): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    if (this.#socket.bufferedAmount > maxBuffered) this.#socket.terminate();
    else this.#socket.send(text);
  }

  /** @throws DomainError `host_unreachable` when the agent hangs up, is silent for 10 s, or says no */
  ask(request: ServerRequest, timeoutMs = askTimeoutMs): Promise<unknown> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#pending.delete(id);
        reject(
          new DomainError('host_unreachable', `The agent of the host did not answer within ${timeoutMs} ms.`),
        );
      }, timeoutMs);
      this.#pending.set(id, { resolve, reject, timer });
      this.send({ type: 'request', id, ...request });
    });
  }

  /** Whether the agent is there now: it was heard within the last second, or is within the next one, being asked. */
  async answers(): Promise<boolean> {
    if (Date.now() - this.heardAt < answersWithinMs) return true;
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  close(code: number, reason: string): void {
    this.#socket.close(code, reason);
  }

  terminate(): void {
    this.#socket.terminate();
  }

  async #look(): Promise<boolean> {
    const heard = once(this.#socket, 'message', { signal: AbortSignal.timeout(answersWithinMs) });
    this.send({ type: 'ping', at: Date.now() });
    return heard.then(
      () => true,
      () => false,
    );
  }

  /** An agent that says nonsense is hung up on; it must not be able to take the server down with it. */
  #hand(message: AgentMessage, onMessage: (message: AgentMessage) => unknown): void {
    try {
      onMessage(message);
    } catch {
      this.close(1008, `a ${message.type} that cannot be understood`);
    }
  }

  #settle(reply: AgentMessage & { type: 'reply' }): void {
    const pending = this.#pending.get(reply.id);
    if (pending === undefined) return;
    this.#pending.delete(reply.id);
    clearTimeout(pending.timer);
    if (reply.ok) pending.resolve(reply.result);
    else pending.reject(new DomainError('host_unreachable', `The agent of the host says: ${reply.error}`));
  }
}

function parse(text: string): AgentMessage | undefined {
  try {
    const value = JSON.parse(text) as AgentMessage | null;
    return typeof value?.type === 'string' ? value : undefined;
  } catch {
    return undefined;
  }
}
