import { rm } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { agentTimings, type Slice, type SliceInstance } from '@rancher/contracts';
import type { InstanceSpec, Inventory } from '@rancher/domain';
import { type Runtime, tailLog } from '@rancher/runtimes';
import { describe } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Preparer } from '../prepare/prepare.ts';
import { endProcesses } from './end-processes.ts';
import { Instance, type InstanceContext } from './instance.ts';
import type { StateDir } from './state-dir.ts';
import { stopOrder } from './stop-order.ts';
import { Waiters } from './waiters.ts';

const sweepMs = 1000;
const podGraceMs = 5000;
const renewMs = 3_600_000;
/** A server that has not said by then what is to run counts as away, for a host that was started again. */
const serverAwayAfterMs = 10_000;

export interface HostParts {
  runtime: Runtime;
  preparer: Preparer;
  state: StateDir;
  log: Log;
  cgroup: string | undefined;
  /** False for simulated hosts: nothing is probed. */
  watches: boolean;
  /** Whether no server answers; then the agent restarts what fails by itself. */
  alone: () => boolean;
  /** When it was last connected (ms since the epoch); 0 = never. */
  connectedAt: () => number;
  /** Something of the inventory is different. */
  changed: () => void;
}

/** Makes one host match the slice of the plan it was given last, and knows what runs. */
export class Host {
  readonly #parts: HostParts;
  readonly #waiters = new Waiters();
  readonly #instances = new Map<string, Instance>();
  readonly #specs = new Map<string, InstanceSpec>();
  readonly #timers: NodeJS.Timeout[];
  #healthyAt: Record<string, string>;
  #slice: Slice | undefined;
  /** Those whose cgroups are being emptied: nothing else may be started in them meanwhile. */
  readonly #clearing = new Set<Instance>();
  #poweringOff = false;
  /** The server has said what is to run, since this agent was started. */
  readonly #told = Promise.withResolvers<void>();

  constructor(parts: HostParts) {
    this.#parts = parts;
    this.#healthyAt = parts.state.healthyAt;
    this.#timers = [
      setInterval(() => this.#sweep(), sweepMs),
      setInterval(() => void this.#renewCertificates(), renewMs),
    ];
  }

  get generation(): number {
    return this.#slice?.generation ?? 0;
  }

  get slice(): Slice | undefined {
    return this.#slice;
  }

  /** Those that its services write to. */
  folders(): string[] {
    return [...this.#specs.values()].flatMap((spec) => spec.directories.map((d) => d.path));
  }

  inventory(): Inventory {
    return { generation: this.generation, instances: [...this.#instances.values()].map((i) => i.observed()) };
  }

  /**
   * Goes on with the last slice after the agent or the host was started again: adopts what runs, starts what does not.
   * What a host ran before it was lost may have moved away since, so a host that was started again begins with the word
   * of the server; where that is away, with its last slice.
   */
  async resume(): Promise<void> {
    const slice = this.#parts.state.slice;
    if (slice !== undefined) {
      this.#remember(slice);
      for (const entry of slice.instances) this.#add(entry);
      const idle: Instance[] = [];
      for (const instance of this.#instances.values()) if (!(await instance.adopt())) idle.push(instance);
      const begins = idle.length === this.#instances.size ? this.#toldOrAlone() : Promise.resolve();
      for (const instance of idle) {
        // One that was healthy before ran when the host went down; another was still to be started.
        if (this.#healthyAt[instance.id] !== undefined) instance.countRestart('started again with its host');
        // One that is not wanted any more by then does nothing.
        void begins.then(() => instance.bringUp());
      }
    }
    await this.#stopStrays();
  }

  async #toldOrAlone(): Promise<void> {
    const alone = delay(serverAwayAfterMs, 'the server is away', { ref: false });
    const why = await Promise.race([
      this.#told.promise.then(() => 'the server has said what is to run'),
      alone,
    ]);
    this.#parts.log.info('begins again', { why });
  }

  /**
   * Makes the host match a slice: stops what is not in it, starts what is new, leaves the rest alone.
   * Returns the generation that was seen before when the slice is older than that, and does nothing then.
   */
  apply(slice: Slice): { seen: number } | undefined {
    this.#told.resolve();
    if (slice.generation < this.generation) return { seen: this.generation };
    if (this.#poweringOff) return undefined;
    this.#remember(slice);
    const wanted = new Map(slice.instances.map((entry) => [entry.id, entry]));
    const before = [...this.#instances.values()];
    // All are known before anything moves: one that others wait for must not pass for one that nobody plans.
    const added = slice.instances.flatMap((entry) =>
      this.#instances.has(entry.id) ? [] : (this.#add(entry) ?? []),
    );
    for (const instance of before) {
      const entry = wanted.get(instance.id);
      if (entry !== undefined) this.#keep(instance, entry);
      else void this.#end(instance, slice);
    }
    for (const instance of added) void instance.bringUp();
    this.#changed();
    // Later: what is to start comes first.
    setImmediate(() => this.#save(slice));
    return undefined;
  }

  /** Stops every instance, those that others stand on last. Nothing is started any more. */
  async powerOff(): Promise<void> {
    this.#poweringOff = true;
    for (const layer of stopOrder([...this.#instances.values()].map((i) => i.entry))) {
      await Promise.all(
        layer.map((id) => {
          const instance = this.#instances.get(id);
          return instance && this.#remove(instance, undefined, podGraceMs);
        }),
      );
    }
    this.close();
  }

  logTail(service: string, lines: number): string[] {
    const instance = [...this.#instances.values()].find((i) => i.service === service);
    if (instance === undefined) throw new Error(`no service ${service} on this host`);
    return tailLog(instance.logFile, Math.min(Math.max(lines, 0), 1000));
  }

  close(): void {
    for (const timer of this.#timers) clearInterval(timer);
  }

  #keep(instance: Instance, entry: SliceInstance): void {
    const spec = this.#specs.get(entry.specHash);
    if (entry.specHash === instance.entry.specHash || spec === undefined) instance.entry = entry;
    else void instance.update(entry, spec);
  }

  #add(entry: SliceInstance): Instance | undefined {
    const spec = this.#specs.get(entry.specHash);
    if (spec === undefined) {
      // The server sends a spec once for each connection; a new connection brings it again.
      this.#parts.log.error('no spec', { instance: entry.id, specHash: entry.specHash });
      return undefined;
    }
    const instance = new Instance(entry, spec, this.#context());
    this.#instances.set(entry.id, instance);
    return instance;
  }

  /** Takes an instance off the host for good; with the last of its service what it left running, and with the last that names it, its data. */
  async #end(instance: Instance, slice: Slice): Promise<void> {
    const graceMs = slice.stops.find((s) => s.instanceId === instance.id)?.graceMs;
    const leaves = slice.instances.every((i) => i.service !== instance.service);
    await this.#remove(instance, graceMs, leaves ? Math.min(graceMs ?? podGraceMs, podGraceMs) : undefined);
    if (this.#poweringOff) return;
    const kept = [...this.#instances.values()].flatMap((i) => i.spec.dataDirectories ?? []);
    for (const path of instance.spec.dataDirectories ?? []) {
      if (kept.some((other) => other === path || other.startsWith(`${path}/`))) continue;
      this.#parts.log.info('wiping', { service: instance.service, path });
      await rm(path, { recursive: true, force: true }).catch((error) =>
        this.#parts.log.error('not wiped', { path, error: describe(error) }),
      );
    }
  }

  /** @param restGraceMs how long what it leaves running gets to end; undefined: that goes on */
  async #remove(
    instance: Instance,
    graceMs: number | undefined,
    restGraceMs: number | undefined,
  ): Promise<void> {
    if (restGraceMs !== undefined) this.#clearing.add(instance);
    await instance.stop(graceMs ?? instance.spec.stop.graceMs);
    if (restGraceMs !== undefined) await this.#endRest(instance, restGraceMs);
    this.#clearing.delete(instance);
    this.#instances.delete(instance.id);
    this.#changed();
  }

  /** Kubelet leaves its pods running when it stops, and containerd its shims; nobody else ends them. */
  async #endRest({ spec }: Instance, graceMs: number): Promise<void> {
    const { cgroup, log } = this.#parts;
    if (cgroup === undefined) return;
    const ends = spec.cgroups.map((sub) => endProcesses(`${cgroup}/${sub}`, { graceMs }));
    ends.push(endProcesses(`${cgroup}/${spec.component}`, { graceMs: 0 }));
    await Promise.all(ends).catch((error) => log.warn('what is left', { error: describe(error) }));
  }

  #context(): InstanceContext {
    const { runtime, preparer, log, cgroup, watches } = this.#parts;
    return {
      runtime,
      preparer,
      log,
      cgroup,
      watches,
      changed: () => this.#changed(),
      connectedAt: this.#parts.connectedAt,
      until: (condition, signal) => this.#waiters.until(condition, signal),
      notHealthy: (ids) =>
        ids.flatMap((id) => {
          const instance = this.#instances.get(id);
          return instance === undefined || instance.healthy ? [] : [instance.service];
        }),
      isFree: (service, id) =>
        [...this.#instances.values()].every(
          (i) => i.service !== service || i.id === id || !(i.hasProcess || this.#clearing.has(i)),
        ),
      healthySince: (id) => this.#healthyAt[id],
      noteHealthy: (id, at) => this.#noteHealthy(id, at),
    };
  }

  #changed(): void {
    this.#waiters.look();
    this.#parts.changed();
    if (this.#parts.alone()) setImmediate(() => this.#restartAbandoned());
  }

  #sweep(): void {
    for (const instance of this.#instances.values()) instance.look();
    this.#restartAbandoned();
  }

  /** Restarts what failed and nobody replaces. */
  #restartAbandoned(): void {
    if (this.#poweringOff) return;
    for (const instance of this.#instances.values()) {
      if (instance.failingSince === 0) continue;
      const forMs = Date.now() - instance.failingSince;
      const alone = this.#parts.alone();
      const patience = agentTimings.autonomyAfterSeconds * 1000;
      // With a server, only an exit that it does not see to: whether to replace what is unhealthy is its decision.
      if (!alone && (instance.hasProcess || forMs < patience)) continue;
      if (alone && instance.hasProcess && forMs < patience) continue;
      if (forMs < instance.backoff) continue;
      const why = alone ? 'no server answers' : `the server did not replace it in ${patience / 1000} s`;
      void instance.restart(why);
    }
  }

  async #renewCertificates(): Promise<void> {
    for (const instance of this.#instances.values()) {
      await instance.renewCertificates().catch((error) =>
        this.#parts.log.warn('certificates are not renewed', {
          service: instance.service,
          error: describe(error),
        }),
      );
    }
  }

  /** What runs although no plan that is known here wants it: left by a crash between a stop and its record. */
  async #stopStrays(): Promise<void> {
    const { runtime, log } = this.#parts;
    for (const id of await runtime.recorded()) {
      if (this.#instances.has(id)) continue;
      const run = await runtime.adopt(id, '/dev/null');
      if (run !== undefined && run !== 'exited') {
        log.warn('stopping a stray', { instance: id, pid: run.pid });
        await run.stop('SIGTERM', 5000);
      }
      await runtime.forget(id);
    }
  }

  #remember(slice: Slice): void {
    this.#slice = slice;
    for (const [hash, spec] of Object.entries(slice.specs)) this.#specs.set(hash, spec);
    const used = new Set(slice.instances.map((i) => i.specHash));
    for (const instance of this.#instances.values()) used.add(instance.entry.specHash);
    for (const hash of this.#specs.keys()) if (!used.has(hash)) this.#specs.delete(hash);
  }

  #save(slice: Slice): void {
    const specs: Slice['specs'] = {};
    for (const { specHash } of slice.instances) {
      const spec = this.#specs.get(specHash);
      if (spec !== undefined) specs[specHash] = spec;
    }
    this.#persist('the slice', () => {
      this.#parts.state.slice = { ...slice, specs };
    });
  }

  #noteHealthy(id: string, at: string): void {
    const known = Object.entries(this.#healthyAt).filter(([other]) => this.#instances.has(other));
    this.#healthyAt = { ...Object.fromEntries(known), [id]: at };
    this.#persist('health', () => {
      this.#parts.state.healthyAt = this.#healthyAt;
    });
  }

  /** What cannot be written, such as on a full disk, must not stop what runs. */
  #persist(what: string, write: () => void): void {
    try {
      write();
    } catch (error) {
      this.#parts.log.error(`${what} is not saved`, { error: describe(error) });
    }
  }
}
