import { performance } from 'node:perf_hooks';
import type { Health, ProbeSpec } from '@rancher/domain';
import type { Check } from './probe.ts';

/** How often one that is not healthy yet is looked at: a start is noticed as soon as it is one. */
const initialPeriodMs = 50;

/**
 * An agent whose own timer rings so late (ms) runs on a machine with too little processor time: a silence then is no sign
 * of illness, and a kill would only add a start to the load. So many such silences in a row are forgiven.
 */
const starvedMs = 500;
const maxForgiven = 10;

export interface ProberOptions {
  spec: ProbeSpec;
  check: Check;
  /** Where it begins: `healthy` for a run that was so before the agent restarted. */
  health: Extract<Health, 'initializing' | 'healthy'>;
  /** When the run began (ms since the epoch). */
  startedAt: number;
  /** Whether the process is stopped by a signal: then one silence is enough. */
  frozen: () => boolean;
  onChange: (health: Health, message: string | undefined) => void;
}

/**
 * Looks at one run, again and again, and says when its health changes:
 *
 *     initializing ──one success──► healthy ──failureThreshold failures in a row──► unhealthy ──one success──► healthy
 *          └───────────────────────────── initialTimeoutMs without a success ───────────►┘
 */
export class Prober {
  readonly #options: ProberOptions;
  /** Aborts the look that is going on. */
  #abort: AbortController | undefined;
  #stopped = false;
  #health: Health;
  #failures = 0;
  #forgiven = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: ProberOptions) {
    this.#options = options;
    this.#health = options.health;
    void this.#look();
  }

  stop(): void {
    this.#stopped = true;
    this.#abort?.abort();
    clearTimeout(this.#timer);
    this.#options.check.close();
  }

  async #look(): Promise<void> {
    const { spec, check } = this.#options;
    const begun = performance.now();
    const abort = new AbortController();
    this.#abort = abort;
    // After a turn for what has arrived: an agent that was held up itself must not take an answer for none.
    const timer = setTimeout(() => setImmediate(() => abort.abort()), spec.timeoutMs);
    let failure: string | undefined;
    try {
      await check.run(abort.signal);
    } catch (error) {
      failure = abort.signal.aborted ? `no answer in ${spec.timeoutMs / 1000} s` : (error as Error).message;
    } finally {
      clearTimeout(timer);
    }
    if (this.#stopped) return;
    if (failure === undefined) this.#succeeded();
    else {
      const silent = abort.signal.aborted;
      const starved = silent && performance.now() - begun - spec.timeoutMs > starvedMs;
      this.#failed(failure, silent, starved);
    }
    const period = this.#health === 'initializing' ? initialPeriodMs : spec.periodMs;
    const rest = Math.max(0, period - (performance.now() - begun));
    this.#timer = setTimeout(() => void this.#look(), rest);
  }

  #succeeded(): void {
    this.#failures = 0;
    this.#forgiven = 0;
    if (this.#health !== 'healthy') this.#become('healthy', undefined);
  }

  #failed(failure: string, silent: boolean, starved: boolean): void {
    const { spec, check, startedAt } = this.#options;
    if (starved && this.#health === 'healthy' && !this.#options.frozen() && this.#forgiven < maxForgiven) {
      this.#forgiven++;
      return;
    }
    this.#failures++;
    if (this.#health === 'initializing') {
      if (Date.now() - startedAt < spec.initialTimeoutMs) return;
      const waited = `not healthy ${spec.initialTimeoutMs / 1000} s after its start`;
      this.#become('unhealthy', `${waited}; ${check.what}: ${failure}`);
    } else if (this.#health === 'healthy') {
      // A process that is stopped will not answer the next time either.
      const frozen = silent && this.#options.frozen();
      if (!frozen && this.#failures < spec.failureThreshold) return;
      const times = this.#failures === 1 ? '' : `, ${this.#failures} times`;
      const why = frozen ? '; its process is stopped by a signal' : '';
      this.#become('unhealthy', `${check.what}: ${failure}${times}${why}`);
    }
  }

  #become(health: Health, message: string | undefined): void {
    this.#health = health;
    this.#options.onChange(health, message);
  }
}
