/** Brings the kernel's rules in step with a ruleset that changes, one transaction after the other. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Nft } from './nft.ts';
import type { Ruleset } from './ruleset.ts';
import { changeScript, replaceScript, type Surroundings } from './script.ts';

export interface WriterOptions {
  nft: Nft;
  surroundings: Surroundings;
  /** What must hold now. */
  ruleset: () => Ruleset;
  /** Told in words when rules could not be written, once for each attempt. */
  onError: (message: string) => void;
  /** Changes within this time are written together. */
  gatherMs?: number;
}

export interface WriterState {
  writes: number;
  /** Whole rewrites among them: the first, and one after each failure or foreign change. */
  replacements: number;
  failures: number;
  /** How long the last write took, from the ruleset's making to nft's end. */
  lastMs: number;
  error: string | undefined;
}

const retryMs = (failures: number) => Math.min(15_000, 250 * 2 ** Math.min(failures - 1, 6));

export class RuleWriter {
  readonly #options: WriterOptions;
  readonly #state: WriterState = {
    writes: 0,
    replacements: 0,
    failures: 0,
    lastMs: 0,
    error: undefined,
  };
  /** Since when something is to be written that no attempt has taken up, and the same of the attempt under way. */
  #dueSince: number | undefined;
  #writingSince: number | undefined;
  /** What the kernel holds; null: not known, so that the whole is written. */
  #written: Ruleset | null = null;
  #forgotten = false;
  #seen: { writes: number; fingerprint: string } | null = null;
  #waiting: PromiseWithResolvers<void>[] = [];
  #running = false;
  #failedInRow = 0;
  #wake = new AbortController();
  #stopped = false;

  constructor(options: WriterOptions) {
    this.#options = options;
  }

  state(): Readonly<WriterState> {
    return this.#state;
  }

  /** Since when (ms since the epoch) the kernel has not held what it must; undefined: in step. */
  get behindSince(): number | undefined {
    return this.#writingSince ?? this.#dueSince;
  }

  /** The ruleset changed: it is written soon. */
  changed(): void {
    this.#dueSince ??= Date.now();
    void this.#run(this.#options.gatherMs ?? 20);
  }

  /** Resolves when all that holds now is written; rejects when an attempt at it failed. */
  flush(): Promise<void> {
    const waiting = Promise.withResolvers<void>();
    this.#waiting.push(waiting);
    this.#dueSince ??= Date.now();
    this.#wake.abort();
    void this.#run(0);
    return waiting.promise;
  }

  /** What the kernel holds is no longer known: the next time, all is written. */
  forget(): void {
    this.#forgotten = true;
  }

  /** Looks whether somebody else removed or changed our chains and sets; then everything is written anew. */
  async audit(): Promise<void> {
    if (this.#running || this.#written === null) return;
    const fingerprint = await this.#options.nft.fingerprint();
    if (this.#running) return;
    const { writes } = this.#state;
    const touched =
      fingerprint === null || (this.#seen?.writes === writes && this.#seen.fingerprint !== fingerprint);
    this.#seen = fingerprint === null ? null : { writes, fingerprint };
    if (!touched) return;
    this.#seen = null;
    this.#written = null;
    this.#options.onError('our nftables table was changed or removed by somebody else; it is written anew');
    await this.flush();
  }

  stop(): void {
    this.#stopped = true;
    this.#wake.abort();
  }

  async #run(gatherMs: number): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    let pause = gatherMs;
    while (this.#dueSince !== undefined && !this.#stopped) {
      if (this.#waiting.length === 0) await this.#pause(pause);
      if (!this.#stopped) await this.#attempt();
      pause = this.#failedInRow === 0 ? gatherMs : retryMs(this.#failedInRow);
    }
    this.#running = false;
    if (this.#stopped) for (const each of this.#waiting.splice(0)) each.reject(new Error('stopped'));
  }

  async #pause(ms: number): Promise<void> {
    this.#wake = new AbortController();
    await delay(ms, undefined, { signal: this.#wake.signal, ref: false }).catch(() => {});
  }

  async #attempt(): Promise<void> {
    const waiting = this.#waiting.splice(0);
    const began = Date.now();
    this.#writingSince = this.#dueSince;
    this.#dueSince = undefined;
    try {
      await this.#write(this.#options.ruleset());
      this.#failedInRow = 0;
      this.#state.error = undefined;
      this.#state.lastMs = Date.now() - began;
      for (const each of waiting) each.resolve();
    } catch (error) {
      this.#failedInRow += 1;
      this.#state.failures += 1;
      this.#dueSince = this.#writingSince;
      this.#state.error = error instanceof Error ? error.message : String(error);
      this.#options.onError(this.#state.error);
      for (const each of waiting) each.reject(error);
    } finally {
      this.#writingSince = undefined;
    }
  }

  /** What changed, or, where the kernel does not take that, the whole. */
  async #write(ruleset: Ruleset): Promise<void> {
    const { nft, surroundings, onError } = this.#options;
    const before = this.#forgotten ? null : this.#written;
    this.#forgotten = false;
    this.#written = null;
    if (before !== null) {
      const script = changeScript(before, ruleset);
      const error = script === '' ? undefined : await nft.run(script).catch((e: Error) => e);
      if (error === undefined) {
        this.#written = ruleset;
        if (script !== '') this.#state.writes += 1;
        return;
      }
      onError(`a change was refused, so everything is written anew: ${error.message}`);
    }
    await nft.run(replaceScript(ruleset, surroundings));
    this.#written = ruleset;
    this.#state.writes += 1;
    this.#state.replacements += 1;
  }
}
