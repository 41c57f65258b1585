import { once } from 'node:events';
import { connect } from 'node:net';
import { type AgentMessage, agentPaths, agentProtocolVersion, type ServerMessage } from '@rancher/contracts';
import type { HostFacts, Inventory } from '@rancher/domain';
import { splice, WebSocketDuplex } from '@rancher/streams';
import { until } from '@rancher/testing';
import { WebSocket } from 'ws';
import type { Harness } from './harness.ts';

/** An agent of the protocol alone: it dials, says what a test tells it to say, and keeps what it hears. */
export interface TestAgent {
  hostId: string;
  credential: string;
  received: ServerMessage[];
  socket: WebSocket;
  say(message: AgentMessage): void;
  hello(inventory?: Inventory, facts?: Partial<HostFacts>): void;
  /** The first message of this type after `from` that was received. */
  hear<T extends ServerMessage['type']>(type: T, from?: number): Promise<ServerMessage & { type: T }>;
  /** Dials streams to another port from now on, as a load balancer might lead them. */
  dialTo(port: number): void;
  ask(request: object): Promise<ServerMessage & { type: 'reply' }>;
  /** Its streams break, as when what they lead to is reset. */
  breakStreams(): void;
  /** Nothing more is heard of it, nor of what it leads to, and no connection ends: its host is cut off. */
  fallSilent(): void;
  /** It reads again. */
  recover(): void;
  close(): void;
}

export const facts: HostFacts = {
  agentVersion: '0.1.0',
  agentPid: 1,
  hostname: 'h',
  address: '10.0.0.1',
  os: 'debian 12',
  arch: 'amd64',
  kernel: '6.18',
  cores: 2,
  memoryBytes: 8e9,
  diskBytes: 1e11,
  diskFreeBytes: 5e10,
  cgroupVersion: 1,
  cgroupDriver: 'cgroupfs',
  cgroupRoot: '/rancher',
  nftables: true,
  iptables: true,
  sysResource: true,
  localHosts: false,
};

export const nothing: Inventory = { generation: 0, instances: [] };

/** Joins a host with a token. */
export async function join(api: Harness, token: string, name = 'h', more: Partial<HostFacts> = {}) {
  return api.call('POST', agentPaths.join, {
    key: null,
    body: { token, name, labels: {}, facts: { ...facts, ...more } },
  });
}

/** Dials the control socket over TLS, as agents do. `serve` gives the address of a local port for streams. */
export async function dial(
  api: Harness,
  joined: { hostId: string; credential: string },
  serve: { [target: string]: number } = {},
): Promise<TestAgent> {
  const base = `wss://127.0.0.1:${api.port}`;
  const options = { ca: api.context.tls.caPem, headers: { authorization: `Bearer ${joined.credential}` } };
  const socket = new WebSocket(base + agentPaths.connect, options);
  let streamBase = base;
  const dialledStreams = new Set<WebSocket>();
  const received: ServerMessage[] = [];
  let nextId = 1;
  socket.on('error', () => {});
  socket.on('message', (data) => {
    const message = JSON.parse(String(data)) as ServerMessage;
    received.push(message);
    if (message.type === 'ping') agent.say({ type: 'pong', at: message.at });
    if (message.type === 'request' && message.method === 'logTail') {
      const lines = Array.from({ length: message.lines }, (_, i) => `${message.service} ${i}`);
      agent.say({ type: 'reply', id: message.id, ok: true, result: { lines } });
    }
    if (message.type === 'request' && message.method === 'openStream') {
      void openStream(message.streamId, serve[message.target]).then(
        () => agent.say({ type: 'reply', id: message.id, ok: true, result: {} }),
        () => agent.say({ type: 'reply', id: message.id, ok: false, error: 'nothing listens there' }),
      );
    }
  });
  /** Target first, so that a refusal can be said; then the dial. */
  async function openStream(streamId: string, port = 1): Promise<void> {
    const target = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    await once(target, 'connect');
    const dialled = new WebSocket(streamBase + agentPaths.stream(streamId), options);
    dialledStreams.add(dialled);
    const stream = new WebSocketDuplex(dialled);
    await once(dialled, 'open');
    splice(target, stream);
  }
  const agent: TestAgent = {
    ...joined,
    received,
    socket,
    say: (message) => socket.send(JSON.stringify(message)),
    hello: (inventory = nothing, more = {}) =>
      agent.say({
        type: 'hello',
        protocol: agentProtocolVersion,
        facts: { ...facts, ...more },
        inventory,
        localHosts: [],
      }),
    hear: <T extends ServerMessage['type']>(type: T, from = 0) =>
      until(
        `a message of type ${type}`,
        () => received.slice(from).find((m) => m.type === type) as (ServerMessage & { type: T }) | undefined,
      ),
    dialTo: (port) => {
      streamBase = `wss://127.0.0.1:${port}`;
    },
    async ask(request) {
      const id = nextId++;
      agent.say({ type: 'request', id, ...request } as AgentMessage);
      return until(
        'the reply',
        () =>
          received.find((m) => m.type === 'reply' && m.id === id) as
            | (ServerMessage & { type: 'reply' })
            | undefined,
      );
    },
    breakStreams() {
      for (const stream of dialledStreams) stream.terminate();
    },
    fallSilent() {
      for (const one of [socket, ...dialledStreams]) one.pause();
    },
    recover() {
      for (const one of [socket, ...dialledStreams]) one.resume();
    },
    close: () => (socket.isPaused ? socket.terminate() : socket.close()),
  };
  await once(socket, 'open');
  return agent;
}
