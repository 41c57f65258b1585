import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import {
  type AgentMessage,
  agentPaths,
  type JoinRequest,
  type ServerMessage,
  type ServerRequest,
  type Slice,
} from '@rancher/contracts';
import type { Inventory, ObservedInstance } from '@rancher/domain';
import {
  type Authority,
  certificateSha256,
  createAuthority,
  generateKeyPair,
  issueCertificate,
} from '@rancher/pki';
import { type WebSocket, WebSocketServer } from 'ws';

/** The server's side of the agents' protocol, on TLS, with nothing behind it: what an agent is tested against. */
export class FakeServer {
  readonly joins: JoinRequest[] = [];
  readonly messages: AgentMessage[] = [];
  readonly signed: string[] = [];
  /** Answers of plain requests, by path. */
  readonly files = new Map<string, Buffer | string>();
  readonly secrets = new Map<string, string>();
  /** Told to every agent after its hello. */
  slice: Slice | undefined;
  localHostToken = 'token-of-a-local-host';
  caSha256 = '';
  onStream: (socket: WebSocket) => void = () => {};
  #authority: Authority | undefined;
  #server: Server | undefined;
  readonly #sockets = new Set<WebSocket>();
  readonly #wss = new WebSocketServer({ noServer: true });
  readonly #hostIds: string[];
  #asked = 0;

  /** `hostIds` are given to those who join, in turn. */
  constructor(...hostIds: string[]) {
    this.#hostIds = hostIds;
  }

  get port(): number {
    return (this.#server!.address() as AddressInfo).port;
  }
  get url(): string {
    return `https://127.0.0.1:${this.port}`;
  }
  /** What the agent said last of what runs. */
  get inventory(): Inventory | undefined {
    return this.messages.findLast((m) => m.type === 'hello' || m.type === 'inventory')?.inventory;
  }
  instance(service: string): ObservedInstance | undefined {
    return this.inventory?.instances.find((i) => i.service === service);
  }

  /** Listens, on the same port as before where it did; `port` 0 chooses one. */
  async listen(port = 0, address = '127.0.0.1'): Promise<void> {
    this.#authority ??= await createAuthority({ commonName: 'test' });
    this.caSha256 = certificateSha256(this.#authority.certificatePem);
    const { publicKeyPem, privateKeyPem } = generateKeyPair();
    const { certificatePem } = await issueCertificate(this.#authority, {
      publicKeyPem,
      commonName: 'test',
      ipAddresses: ['127.0.0.1'],
      usages: ['server'],
    });
    const cert = certificatePem + this.#authority.certificatePem;
    this.#server = createServer({ key: privateKeyPem, cert }, (request, response) => {
      void this.#respond(request).then(({ status, body }) => response.writeHead(status).end(body));
    });
    this.#server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head));
    this.#server.listen(port, address);
    await once(this.#server, 'listening');
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.terminate();
    this.#server?.closeAllConnections();
    await new Promise((resolve) => this.#server?.close(resolve) ?? resolve(undefined));
  }

  /** Sends the slice now, and to whoever connects later. */
  push(slice: Slice): void {
    this.slice = slice;
    for (const socket of this.#sockets) send(socket, { type: 'slice', slice });
  }

  /** Asks the agent something. */
  async ask(request: ServerRequest): Promise<unknown> {
    const id = ++this.#asked;
    for (const socket of this.#sockets) send(socket, { type: 'request', id, ...request });
    for (;;) {
      const reply = this.messages.find((m) => m.type === 'reply' && m.id === id);
      if (reply?.type === 'reply') {
        if (reply.ok) return reply.result;
        throw new Error(reply.error);
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  async #respond(request: IncomingMessage): Promise<{ status: number; body: Buffer | string }> {
    if (request.url === agentPaths.join) {
      let text = '';
      for await (const chunk of request) text += chunk;
      const join = JSON.parse(text) as JoinRequest;
      const hostId = this.#hostIds[this.joins.length];
      if (hostId === undefined) return problem(401, 'token_spent', 'The token is spent.');
      this.joins.push(join);
      return { status: 200, body: JSON.stringify({ hostId, credential: `credential-${hostId}` }) };
    }
    const file = this.files.get(request.url ?? '');
    return file === undefined
      ? problem(404, 'not_found', 'There is no such file.')
      : { status: 200, body: file };
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    if (!request.headers.authorization?.startsWith('Bearer credential-')) {
      return void socket.end('HTTP/1.1 401 Unauthorized\r\nconnection: close\r\n\r\n');
    }
    this.#wss.handleUpgrade(request, socket, head, (ws) => {
      if (request.url?.startsWith('/v1/agent/streams/')) return this.onStream(ws);
      this.#sockets.add(ws);
      ws.on('close', () => this.#sockets.delete(ws));
      ws.on('message', (data) => void this.#receive(ws, JSON.parse(String(data)) as AgentMessage));
    });
  }

  async #receive(ws: WebSocket, message: AgentMessage): Promise<void> {
    this.messages.push(message);
    if (message.type === 'ping') send(ws, { type: 'pong', at: message.at });
    if (message.type === 'hello') {
      send(ws, { type: 'welcome', hostId: 'x', serverTime: new Date().toISOString() });
      if (this.slice !== undefined) send(ws, { type: 'slice', slice: this.slice });
    }
    if (message.type !== 'request') return;
    try {
      send(ws, { type: 'reply', id: message.id, ok: true, result: await this.#answer(message) });
    } catch (error) {
      send(ws, { type: 'reply', id: message.id, ok: false, error: (error as Error).message });
    }
  }

  async #answer(request: AgentMessage & { type: 'request' }): Promise<unknown> {
    switch (request.method) {
      case 'localHostToken':
        return { token: this.localHostToken, environmentId: 'env_test' };
      case 'secret': {
        const content = this.secrets.get(request.path);
        if (content === undefined) throw new Error('there is no such secret');
        return { content };
      }
      case 'signCertificate': {
        this.signed.push(request.certPath);
        const { certificatePem, notAfter } = await issueCertificate(this.#authority!, {
          publicKeyPem: request.publicKeyPem,
          commonName: 'test',
          usages: ['client'],
        });
        const caPem = this.#authority!.certificatePem;
        return { certificatePem, caPem, notAfter: notAfter.toISOString() };
      }
    }
  }
}

function send(socket: WebSocket, message: ServerMessage): void {
  socket.send(JSON.stringify(message));
}

function problem(status: number, code: string, detail: string): { status: number; body: string } {
  return { status, body: JSON.stringify({ code, detail }) };
}
