import type { Exit, Run, Runtime, RuntimeName, StartRequest } from '../runtime.ts';

/**
 * Runs nothing: for tests of the engine at scale, where thousands of instances must come and go on one machine. Refuses
 * to exist unless asked by name, so that no host ever says it runs what it does not.
 */
export class SimulatedRuntime implements Runtime {
  readonly name = 'simulated';
  readonly #runs = new Map<string, SimulatedRun>();
  static #lastPid = 1_000_000;

  constructor(name: RuntimeName) {
    if (name !== 'simulated') throw new Error(`the simulated runtime was not asked for, but ${name}`);
  }

  async start(request: StartRequest): Promise<Run> {
    const run = new SimulatedRun(request, ++SimulatedRuntime.#lastPid);
    this.#runs.set(request.id, run);
    return run;
  }

  async adopt(id: string): Promise<Run | 'exited' | undefined> {
    const run = this.#runs.get(id);
    return run?.exit === undefined ? run : 'exited';
  }

  async recorded(): Promise<string[]> {
    return [...this.#runs.keys()];
  }

  async forget(id: string): Promise<void> {
    this.#runs.delete(id);
  }

  /** Ends a run as a crash would; false when no such run is going on. */
  fail(id: string, exit: Exit = { code: null, signal: 'SIGKILL' }): boolean {
    const run = this.#runs.get(id);
    if (run === undefined || run.exit !== undefined) return false;
    run.end(exit);
    return true;
  }

  close(): void {}
}

class SimulatedRun implements Run {
  readonly id: string;
  readonly pid: number;
  readonly startedAt = new Date();
  readonly restarts: number;
  readonly exited: Promise<Exit>;
  exit: Exit | undefined;
  #resolve: (exit: Exit) => void = () => {};

  constructor(request: StartRequest, pid: number) {
    this.id = request.id;
    this.pid = pid;
    this.restarts = request.restarts;
    this.exited = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  end(exit: Exit): void {
    this.exit ??= exit;
    this.#resolve(this.exit);
  }

  frozen(): boolean {
    return false;
  }

  async stop(signal: NodeJS.Signals, graceMs: number): Promise<Exit> {
    this.end({ code: null, signal: graceMs === 0 ? 'SIGKILL' : signal });
    return await this.exited;
  }
}
