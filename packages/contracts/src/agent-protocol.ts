import type { ArtifactRef, HostFacts, HostPower, InstanceSpec, Inventory, Metadata } from '@rancher/domain';

/**
 * The agents' protocol, version 1. All connections are made by the agent. Control messages are JSON text frames on one
 * WebSocket; each stream (kube API, etcd, …) is another WebSocket that the agent opens when asked, of binary frames.
 *
 *     GET  /v1/agent/install.sh              what `curl … | sh` runs on a machine; for everyone
 *     POST /v1/agent/join                    registration token → host id and credential (once)
 *     POST /v1/agent/leave                   the host gives itself up, as `DELETE /v1/hosts/:id` would
 *     GET  /v1/agent/connect      (WebSocket) control; Authorization: Bearer <credential>
 *     GET  /v1/agent/streams/:id  (WebSocket) one stream, opened on `openStream`
 *     GET  /v1/agent/artifacts/:name/:version/:file   a program's bytes, by the pinned version; the agent and its Node
 *                                            for a registration token too
 *
 * Order on connecting: `hello` (facts, inventory) → `welcome` → `slice`. Inventory goes up before anything comes down,
 * and nothing is restarted for having been alone.
 */
export const agentProtocolVersion = 1;

export const agentPaths = {
  install: '/v1/agent/install.sh',
  join: '/v1/agent/join',
  leave: '/v1/agent/leave',
  connect: '/v1/agent/connect',
  stream: (id: string) => `/v1/agent/streams/${id}`,
  artifact: (name: string, version: string, file: string) =>
    `/v1/agent/artifacts/${encodeURIComponent(name)}/${encodeURIComponent(version)}/${encodeURIComponent(file)}`,
  artifactManifest: (name: string, version: string) =>
    `/v1/agent/artifacts/${encodeURIComponent(name)}/${encodeURIComponent(version)}`,
} as const;

/** Seconds. Both sides ping in the application; a silent peer is dropped and dialled again, with jitter. */
export const agentTimings = {
  pingSeconds: 5,
  silentAfterSeconds: 15,
  /** An exited instance that no slice replaces within this is restarted by the agent itself. */
  autonomyAfterSeconds: 5,
} as const;

export interface JoinRequest {
  token: string;
  /** Of a machine that is a host already: where it still holds, the same host goes on, and no use is counted. */
  credential?: string;
  name: string;
  labels: Record<string, string>;
  facts: HostFacts;
}

export interface JoinResponse {
  hostId: string;
  /** The host's own credential; shown once, stored hashed by the server. That of the request, where it went on. */
  credential: string;
  name: string;
  environmentName: string | null;
}

/** Header of the control socket's request: which machine it is, see `HostFacts.machineFingerprint`. */
export const machineHeader = 'x-rancher-machine';

/** agent → server */
export type AgentMessage =
  | {
      type: 'hello';
      protocol: number;
      facts: HostFacts;
      inventory: Inventory;
      localHosts: ObservedLocalHost[];
    }
  /** Sent at once when anything of it changed. */
  | { type: 'inventory'; inventory: Inventory; localHosts: ObservedLocalHost[] }
  | { type: 'facts'; facts: HostFacts }
  | { type: 'refused'; generation: number; seen: number }
  | { type: 'ping'; at: number }
  | { type: 'pong'; at: number }
  | ({ type: 'request'; id: number } & AgentRequest)
  | { type: 'reply'; id: number; ok: true; result: unknown }
  | { type: 'reply'; id: number; ok: false; error: string };

/** server → agent */
export type ServerMessage =
  | { type: 'welcome'; hostId: string; serverTime: string; programs?: AgentPrograms }
  | { type: 'slice'; slice: Slice }
  /** Whenever it changed, at most once a second; the same for every host of an environment. */
  | { type: 'metadata'; metadata: Metadata }
  | { type: 'ping'; at: number }
  | { type: 'pong'; at: number }
  | ({ type: 'request'; id: number } & ServerRequest)
  | { type: 'reply'; id: number; ok: true; result: unknown }
  | { type: 'reply'; id: number; ok: false; error: string };

/** The agent that came with this server, and the Node that it runs on: what an installed host is to run. */
export interface AgentPrograms {
  agent: ArtifactRef;
  node: ArtifactRef;
}

/** What an agent may ask. The server answers only what the host's own slice entitles it to. */
export type AgentRequest =
  /** → {@link SignedCertificate}. The description is the spec's; the agent gives only its public key (SPKI PEM). */
  | { method: 'signCertificate'; instanceId: string; certPath: string; publicKeyPem: string }
  /** → { content: string } */
  | { method: 'secret'; instanceId: string; path: string }
  /** → { token: string, environmentId: string }. Only from the machine that the local host is assigned to. */
  | { method: 'localHostToken'; hostId: string };

export interface SignedCertificate {
  certificatePem: string;
  caPem: string;
  notAfter: string;
}

/** What the server may ask of an agent. */
export type ServerRequest =
  /** → {} once dialled. The agent opens `agentPaths.stream(streamId)` and joins it to the target. */
  | { method: 'openStream'; streamId: string; target: StreamTarget }
  /** → { lines: string[] } of an instance's log, newest last. */
  | { method: 'logTail'; service: string; lines: number }
  /**
   * → { answer: 'open' | 'refused' | 'silent' }: whether a silent host of the same environment answers this one. Only at
   * {@link peerPort}; a refusal is an answer too, of its kernel.
   */
  | { method: 'probeHost'; address: string; port: number };

/** kubelet's, which every host has. */
export const peerPort = 10250;

/**
 * Where a stream may go: a port of the host's own components, never an address of the caller's choice. To Kubernetes it
 * goes by the host's balancer, which leads to its own API server while that is ready: one whose etcd is cut off from the
 * other members runs, and answers nothing.
 */
export const streamTargets = { 'kube-apiserver': 6444, etcd: 2379, 'etcd-metrics': 2381 } as const;
export type StreamTarget = keyof typeof streamTargets;

/**
 * One host's part of a plan. An agent refuses a generation older than it has seen (`refused`). Instances that are not
 * in it are stopped and removed, `stops` saying how.
 */
export interface Slice {
  environmentId: string | null;
  hostId: string;
  hostName: string;
  planId: string | null;
  generation: number;
  instances: SliceInstance[];
  stops: SliceStop[];
  /** By hash; the server sends each only once per connection. */
  specs: Record<string, InstanceSpec>;
  /** Local hosts that this machine must have; one that is not here is powered off and wiped. */
  localHosts: SliceLocalHost[];
  /** The host itself is removed: stop everything, wipe, forget the credential. */
  removed: boolean;
}

export interface SliceInstance {
  id: string;
  service: string;
  specHash: string;
  after: string[];
  /** ms since the epoch; 0 = at once. */
  notBefore: number;
  reason: string;
}

export interface SliceStop {
  instanceId: string;
  /** 0 = kill at once. */
  graceMs: number;
  reason: string;
}

export interface SliceLocalHost {
  hostId: string;
  name: string;
  environmentId: string;
  /** The network of the machine that it is on; made when it is the first there. */
  network: string;
  /** Off: everything of it is cut off at once, as by pulling the plug, and it stays so; its disk stays. */
  power: HostPower;
}

export interface ObservedLocalHost {
  hostId: string;
  state: 'creating' | 'running' | 'off' | 'failed' | 'removing';
  message?: string;
}
