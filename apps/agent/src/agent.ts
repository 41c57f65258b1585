import { setTimeout as delay } from 'node:timers/promises';
import type { AgentPrograms, ObservedLocalHost, ServerRequest, Slice } from '@rancher/contracts';
import { hostPaths } from '@rancher/domain';
import { createRuntime, type Runtime } from '@rancher/runtimes';
import type { AgentConfig } from './config.ts';
import { Connection, reconnectDelay } from './connection/connection.ts';
import type { HttpError, ServerAccess } from './connection/http.ts';
import { explainRefusal, join } from './connection/join.ts';
import { openStream } from './connection/streams.ts';
import { gatherFacts, machineFingerprint } from './facts.ts';
import { Host } from './host/host.ts';
import { type Credential, StateDir } from './host/state-dir.ts';
import type { Log } from './log.ts';
import { HostMetadata } from './metadata/metadata.ts';
import { Artifacts } from './prepare/artifacts.ts';
import { Ledger } from './prepare/ledger.ts';
import { HostPreparer, type Preparer } from './prepare/prepare.ts';
import { probePeer } from './probes/peer.ts';
import { Reporter } from './reporter.ts';

/** A new agent has not met its server yet: what it finds ended may be about to be replaced. */
const aloneAfterStartMs = 2000;

/** How long a host whose identity was replaced goes on, so that the same machine can be given the new one. */
const replacedGraceMs = 120_000;

/** What makes the local hosts of a machine; other agents have none. */
export interface LocalHostMaker {
  apply(wanted: Slice['localHosts']): void;
  observed(): ObservedLocalHost[];
  close(): void;
}

export interface AgentParts {
  log: Log;
  /** Given instead of the real ones where hosts are simulated. */
  runtime?: Runtime;
  preparer?: Preparer;
  localHosts?: (agent: { ask: Connection['request']; changed: () => void }) => Promise<LocalHostMaker>;
  /** Whenever a server is connected, it says which agent came with it. */
  onPrograms?: (programs: AgentPrograms, server: ServerAccess) => Promise<void>;
  /** The server said that this host is no more; everything has been stopped. */
  onRemoved?: () => Promise<void>;
}

/**
 * One agent: joins, keeps the control socket, makes its host match what comes down, says what is. It decides nothing
 * while it has a server. Everything it starts outlives it.
 */
export class Agent {
  readonly #config: AgentConfig;
  readonly #log: Log;
  readonly #parts: AgentParts;
  readonly #state: StateDir;
  readonly #runtime: Runtime;
  readonly #reporter: Reporter;
  readonly #closed = new AbortController();
  readonly #host: Host;
  readonly #metadata: HostMetadata | undefined;
  #localHosts: LocalHostMaker | undefined;
  #connection: Connection | undefined;
  #connectedAt = 0;
  #refusedSince: number | undefined;
  #standingDown = false;
  readonly #startedAt = Date.now();

  constructor(config: AgentConfig, parts: AgentParts) {
    this.#config = config;
    this.#log = parts.log;
    this.#parts = parts;
    this.#state = new StateDir(config.stateDir);
    this.#runtime = parts.runtime ?? createRuntime(config.runtime, { recordDir: config.runDir });
    const simulated = this.#runtime.name === 'simulated';
    this.#host = new Host({
      runtime: this.#runtime,
      preparer: parts.preparer ?? this.#hostPreparer(),
      state: this.#state,
      log: this.#log,
      cgroup: simulated ? undefined : config.cgroup,
      watches: !simulated,
      alone: () => !this.connected && Date.now() - this.#startedAt > aloneAfterStartMs,
      connectedAt: () => this.#connectedAt,
      changed: () => this.#reporter.changed(),
    });
    // Simulated hosts share one machine, and have nobody who asks.
    if (!simulated)
      this.#metadata = new HostMetadata({
        folder: config.stateDir,
        cgroup: config.cgroup,
        hostId: () => this.#state.credential?.hostId,
        log: this.#log,
      });
    this.#reporter = new Reporter({
      inventory: () => this.#host.inventory(),
      localHosts: () => this.#localHosts?.observed() ?? [],
      facts: () => gatherFacts(config, this.#host.folders()),
      send: (message) => this.#connection?.send(message) ?? false,
    });
  }

  get host(): Host {
    return this.#host;
  }

  get connected(): boolean {
    return this.#connection?.connected ?? false;
  }

  /** Runs until {@link close}. */
  async run(): Promise<void> {
    await this.#host.resume();
    this.#metadata?.resume();
    this.#localHosts = await this.#parts.localHosts?.({
      ask: (request) => this.#ask(request),
      changed: () => this.#reporter.changed(),
    });
    const slice = this.#host.slice;
    if (slice !== undefined) this.#localHosts?.apply(slice.localHosts);
    const credential = this.#state.credential ?? (await this.#join());
    if (credential === undefined || this.#closed.signal.aborted) return;
    this.#connection = this.#connect(credential);
    await this.#connection.run();
  }

  /** Ends the agent alone. */
  close(): void {
    this.#closed.abort();
    this.#connection?.close();
    this.#host.close();
    this.#metadata?.close();
    this.#localHosts?.close();
    this.#reporter.close();
    this.#runtime.close();
  }

  /** Ends everything on the host in order, and the agent with it. */
  async powerOff(): Promise<void> {
    await this.#host.powerOff();
    this.close();
  }

  /** Tries each server until one takes the token. */
  async #join(): Promise<Credential | undefined> {
    const { signal } = this.#closed;
    for (let attempt = 0; !signal.aborted; attempt++) {
      const url = this.#config.serverUrls[attempt % this.#config.serverUrls.length]!;
      try {
        const credential = await join(this.#config, url, gatherFacts(this.#config));
        this.#state.credential = { hostId: credential.hostId, credential: credential.credential };
        this.#log.info('joined', { url, hostId: credential.hostId });
        return credential;
      } catch (error) {
        this.#log.warn('not joined', { url, error: explainRefusal(error, url) });
      }
      await delay(reconnectDelay(attempt), undefined, { signal }).catch(() => {});
    }
    return undefined;
  }

  #connect({ credential, hostId }: Credential): Connection {
    const machine = this.#config.kind === 'machine' ? machineFingerprint() : undefined;
    return new Connection(
      { ...this.#config, ...(machine === undefined ? {} : { machine }) },
      credential,
      {
        hello: () => this.#reporter.hello(),
        onMessage: (message) => {
          if (message.type === 'welcome' && message.programs !== undefined)
            void this.#parts.onPrograms?.(message.programs, this.#connection!.server);
          if (message.type === 'slice') this.#apply(message.slice, hostId);
          if (message.type === 'metadata') this.#metadata?.update(message.metadata);
        },
        onRequest: (request) => this.#answer(request),
        onRefused: (error) => void this.#refused(error),
        onChange: (connected) => {
          if (!connected) return;
          this.#connectedAt = Date.now();
          this.#refusedSince = undefined;
        },
      },
      this.#log,
    );
  }

  /**
   * The server knows another machine by this host's identity, or nobody at all. A copy of a host's disk runs nothing;
   * where the identity was replaced, the same machine gets a while to be given the new one.
   */
  async #refused(error: HttpError): Promise<void> {
    this.#log.error(error.message, { code: error.code });
    this.#refusedSince ??= Date.now();
    const waits = error.code === 'identity_replaced' && Date.now() - this.#refusedSince < replacedGraceMs;
    const other = error.code === 'identity_in_use' || error.code === 'identity_replaced';
    if (!other || waits || this.#standingDown) return;
    this.#standingDown = true;
    this.#log.error('everything is stopped here: this machine is not the host');
    await this.#host.powerOff();
    // Not to be started again from disk. The next agent only dials; a server that takes it says what to run.
    this.#state.forgetSlice();
    this.close();
  }

  #apply(slice: Slice, hostId: string): void {
    if (slice.hostId !== hostId) {
      this.#log.error('a slice of another host', { hostId: slice.hostId });
      return;
    }
    if (slice.removed) return void this.#remove();
    const refused = this.#host.apply(slice);
    if (refused !== undefined) {
      this.#log.warn('refused an older plan', { generation: slice.generation, seen: refused.seen });
      this.#connection?.send({ type: 'refused', generation: slice.generation, seen: refused.seen });
      return;
    }
    this.#localHosts?.apply(slice.localHosts);
  }

  async #remove(): Promise<void> {
    this.#log.info('this host was removed: stopping everything');
    await this.#host.powerOff();
    await this.#metadata?.withdraw();
    await this.#parts.onRemoved?.();
    this.#state.forget();
    this.close();
  }

  async #answer(request: ServerRequest): Promise<unknown> {
    switch (request.method) {
      case 'openStream':
        await openStream(this.#connection!, request.streamId, request.target);
        return {};
      case 'logTail':
        return { lines: this.#host.logTail(request.service, request.lines) };
      case 'probeHost':
        return { answer: await probePeer(request.address, request.port) };
      default:
        throw new Error('this agent does not know that request');
    }
  }

  async #ask<T>(request: Parameters<Connection['request']>[0]): Promise<T> {
    if (this.#connection === undefined) throw new Error('there is no connection to the server');
    return await this.#connection.request<T>(request);
  }

  #hostPreparer(): Preparer {
    const state = this.#state;
    const save = (entries: Record<string, string>) => {
      state.ledger = entries;
    };
    return new HostPreparer({
      artifacts: new Artifacts({
        targetDir: hostPaths.artifacts,
        cacheDir: this.#config.artifactsDir,
        server: () =>
          this.#connection?.server ?? { url: this.#config.serverUrls[0]!, pin: this.#config.caSha256 },
      }),
      ledger: new Ledger(state.ledger, save, this.#log),
      ask: (request) => this.#ask(request),
      cgroup: this.#config.cgroup,
    });
  }
}
