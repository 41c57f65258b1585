import type { SliceInstance } from '@rancher/contracts';
import { type Health, type InstanceSpec, type ObservedInstance, servicePath } from '@rancher/domain';
import { type Exit, type Run, type Runtime, tailLog } from '@rancher/runtimes';
import { describe } from '../errors.ts';
import type { Log } from '../log.ts';
import type { HeldCertificate } from '../prepare/certificates.ts';
import type { Preparer } from '../prepare/prepare.ts';
import { tellReload, writeLiveFiles } from '../prepare/reload.ts';
import { backoffMs } from './backoff.ts';
import { Watch } from './watch.ts';
import { exitInWords } from './words.ts';

const logTailLines = 20;
/** After this long healthy, earlier failures are forgotten. */
const forgivenAfterMs = 300_000;

/** What an instance needs of its host. */
export interface InstanceContext {
  runtime: Runtime;
  preparer: Preparer;
  log: Log;
  cgroup: string | undefined;
  /** Simulated hosts watch nothing. */
  watches: boolean;
  changed(): void;
  /** Resolves when the condition holds; it is looked at again at each change of the host. Rejects on the signal's abort. */
  until(condition: () => boolean, signal: AbortSignal): Promise<void>;
  /** When a server was last connected (ms since the epoch); 0 = never. */
  connectedAt(): number;
  /** Services of those of these instances that are not healthy. */
  notHealthy(instanceIds: readonly string[]): string[];
  /** Whether no other instance of that service has a process. */
  isFree(service: string, instanceId: string): boolean;
  healthySince(instanceId: string): string | undefined;
  noteHealthy(instanceId: string, at: string): void;
}

/**
 * One instance on this host, from the slice that brings it to the one that does not have it any more:
 *
 *     pending ── prepared, predecessor gone, `after` healthy, notBefore ──► starting ──► running ──► exited
 *        ▲                                                                                             │
 *        └────────────────────────────── restart(), by the agent alone ────────────────────────────────┘
 */
export class Instance {
  entry: SliceInstance;
  spec: InstanceSpec;
  readonly #context: InstanceContext;
  readonly #gone = new AbortController();
  #state: ObservedInstance['state'] = 'pending';
  #health: Health = 'initializing';
  #message: string | undefined;
  /** Why it runs anew although no plan said so; shown while nothing else is to be said. */
  #restartMessage: string | undefined;
  #logTail: string[] | undefined;
  #certificates: HeldCertificate[] = [];
  #run: Run | undefined;
  #watch: Watch | undefined;
  #exit: Exit | undefined;
  #exitedAt: string | undefined;
  #healthyAt: string | undefined;
  #restarts = 0;
  #failures = 0;
  /** Since when it is exited or unhealthy (ms since the epoch); 0 = it is not. */
  failingSince = 0;

  constructor(entry: SliceInstance, spec: InstanceSpec, context: InstanceContext) {
    this.entry = entry;
    this.spec = spec;
    this.#context = context;
  }

  get id(): string {
    return this.entry.id;
  }
  get service(): string {
    return this.entry.service;
  }
  get healthy(): boolean {
    return this.#state === 'running' && this.#health === 'healthy';
  }
  get hasProcess(): boolean {
    return this.#run !== undefined && this.#run.exit === undefined;
  }
  get logFile(): string {
    return servicePath(this.service, `log/${this.service}.log`);
  }
  /** How long the agent waits before it restarts it by itself. */
  get backoff(): number {
    return backoffMs(this.#failures);
  }

  /** Takes up a run of before the agent's restart. False when this boot of the host never started it. */
  async adopt(): Promise<boolean> {
    const found = await this.#context.runtime.adopt(this.id, this.logFile);
    if (found === undefined) return false;
    this.#healthyAt = this.#context.healthySince(this.id);
    if (found === 'exited') {
      this.#ended({ code: null, signal: null }, 'its process ended while the agent was away');
      return true;
    }
    this.#restarts = found.restarts;
    this.#running(found, this.#healthyAt === undefined ? 'initializing' : 'healthy');
    // Whether it was told of the last change before the agent ended, nobody knows.
    void this.#reload();
    await this.renewCertificates().catch((error) =>
      this.#context.log.warn('certificates', { service: this.service, error: describe(error) }),
    );
    return true;
  }

  /** Runs on with another spec, of which only that differs which may change while it runs. */
  async update(entry: SliceInstance, spec: InstanceSpec): Promise<void> {
    this.entry = entry;
    this.spec = spec;
    if (this.hasProcess) await this.#reload();
  }

  /** Prepares and starts it, trying again until it succeeds or the instance is not wanted any more. */
  async bringUp(): Promise<void> {
    const { signal } = this.#gone;
    for (let failures = 0; !signal.aborted; failures++) {
      try {
        await this.#start(signal);
        return;
      } catch (error) {
        if (signal.aborted) return;
        this.#context.log.warn('not started', {
          service: this.service,
          instance: this.id,
          error: describe(error),
        });
        this.#tell(describe(error));
        // What it lacked may be what only a server has.
        const failedAt = Date.now();
        const again = failedAt + Math.max(100, backoffMs(failures));
        const worthATry = () => Date.now() >= again || this.#context.connectedAt() > failedAt;
        await this.#context.until(worthATry, signal).catch(() => {});
      }
    }
  }

  /** The host was started again, and this instance with it. */
  countRestart(message: string): void {
    this.#restarts++;
    this.#message = undefined;
    this.#restartMessage = message;
  }

  /** Restarts it by the agent's own decision: nobody replaced it. */
  async restart(why: string): Promise<void> {
    const was = this.#message ?? 'it failed';
    this.#failures = this.#longHealthy() ? 1 : this.#failures + 1;
    this.#endWatch();
    this.failingSince = 0;
    this.#state = 'pending';
    this.#health = 'initializing';
    if (this.hasProcess) await this.#run!.stop('SIGKILL', 0);
    this.countRestart(`restarted by the agent, as ${why}; before: ${was}`);
    this.#exit = undefined;
    this.#exitedAt = undefined;
    this.#healthyAt = undefined;
    this.#context.changed();
    await this.bringUp();
  }

  /** Stops it for good. Resolves when its process has ended. */
  async stop(graceMs: number): Promise<void> {
    this.#gone.abort();
    this.#endWatch();
    if (this.hasProcess) {
      this.#state = 'stopping';
      this.#context.changed();
      await this.#run!.stop(this.spec.stop.signal, graceMs);
    }
    await this.#context.runtime.forget(this.id);
  }

  /** Renews what is due of its certificates. */
  async renewCertificates(): Promise<void> {
    if (!this.hasProcess) return;
    this.#certificates = await this.#context.preparer.renewCertificates(this.id, this.spec);
    this.#watch?.rebase();
    this.#context.changed();
  }

  /** Once a second: do its files still stand? */
  look(): void {
    this.#watch?.look();
  }

  observed(): ObservedInstance {
    const run = this.#run;
    const message = this.#message ?? this.#waiting() ?? this.#restartMessage;
    return {
      id: this.id,
      service: this.service,
      specHash: this.entry.specHash,
      state: this.#state,
      health: this.#health,
      ...(run === undefined ? {} : { pid: run.pid, startedAt: run.startedAt.toISOString() }),
      ...(this.#healthyAt === undefined ? {} : { healthyAt: this.#healthyAt }),
      ...(this.#exitedAt === undefined ? {} : { exitedAt: this.#exitedAt }),
      ...(this.#exit === undefined ? {} : { exit: this.#exit }),
      restarts: this.#restarts,
      ...(message === undefined ? {} : { message }),
      ...(this.#logTail === undefined ? {} : { logTail: this.#logTail }),
      certificates: this.#certificates,
    };
  }

  async #start(signal: AbortSignal): Promise<void> {
    const { preparer, runtime, cgroup, until } = this.#context;
    const { spec } = this;
    const { certificates } = await preparer.prepare(this.id, spec, (message) => this.#tell(message));
    this.#certificates = certificates;
    this.#message = undefined;
    await until(() => this.#mayStart(), signal);
    await preparer.seed(this.spec);
    if (signal.aborted) return;
    this.#state = 'starting';
    const run = await runtime.start({
      id: this.id,
      command: this.spec.command,
      env: this.spec.env,
      logFile: this.logFile,
      cgroup: cgroup === undefined ? undefined : `${cgroup}/${this.spec.component}`,
      oomScoreAdj: this.spec.oomScoreAdj,
      restarts: this.#restarts,
    });
    // Not wanted any more while it was being made.
    if (signal.aborted) return void (await run.stop('SIGKILL', 0));
    this.#message = undefined;
    this.#running(run, 'initializing');
    if (this.spec !== spec) await this.#reload();
  }

  /** One that does not take it up is told as unhealthy: started anew, it reads what is right. */
  async #reload(): Promise<void> {
    if (!this.#context.watches) return;
    const { spec } = this;
    writeLiveFiles(spec);
    this.#watch?.rebase();
    const tried = await tellReload(spec, () => this.hasProcess && this.spec === spec);
    if (tried !== undefined) this.#became('unhealthy', tried);
  }

  #mayStart(): boolean {
    const { isFree, notHealthy } = this.#context;
    if (this.entry.notBefore > Date.now()) return false;
    return isFree(this.service, this.id) && notHealthy(this.entry.after).length === 0;
  }

  /** What keeps it from being started, in words. */
  #waiting(): string | undefined {
    const services = this.#state === 'pending' ? this.#context.notHealthy(this.entry.after) : [];
    return services.length === 0 ? undefined : `waits until ${services.join(', ')} can be used`;
  }

  #running(run: Run, health: 'initializing' | 'healthy'): void {
    this.#run = run;
    this.#state = 'running';
    this.#health = health;
    this.failingSince = 0;
    this.#logTail = undefined;
    this.#context.log.info('running', { service: this.service, instance: this.id, pid: run.pid });
    this.#watch = new Watch(run, this.spec, health, this.#context.watches, (next, message) =>
      this.#became(next, message),
    );
    void run.exited.then((exit) => {
      if (this.#run === run && this.#state === 'running') this.#ended(exit, exitInWords(exit));
    });
    this.#context.changed();
  }

  #became(health: Health, message: string | undefined): void {
    this.#health = health;
    this.#context.log.info(health, { service: this.service, instance: this.id, ...(message && { message }) });
    if (health === 'unhealthy') {
      this.#message = message;
      this.#logTail = tailLog(this.logFile, logTailLines);
      this.failingSince ||= Date.now();
    } else {
      this.failingSince = 0;
      this.#logTail = undefined;
      this.#message = undefined;
    }
    if (health === 'healthy' && this.#healthyAt === undefined) {
      this.#healthyAt = new Date().toISOString();
      this.#context.noteHealthy(this.id, this.#healthyAt);
    }
    this.#context.changed();
  }

  #ended(exit: Exit, message: string): void {
    this.#endWatch();
    this.#state = 'exited';
    this.#health = 'unhealthy';
    this.#exit = exit;
    this.#exitedAt = new Date().toISOString();
    this.#message = message;
    this.#logTail = tailLog(this.logFile, logTailLines);
    this.failingSince ||= Date.now();
    this.#context.changed();
    this.#context.log.warn('exited', { service: this.service, instance: this.id, message });
  }

  #tell(message: string): void {
    this.#message = message;
    this.#context.changed();
  }

  #longHealthy(): boolean {
    return this.#healthyAt !== undefined && Date.now() - Date.parse(this.#healthyAt) > forgivenAfterMs;
  }

  #endWatch(): void {
    this.#watch?.stop();
    this.#watch = undefined;
  }
}
