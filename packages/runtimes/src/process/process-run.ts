import type { Exit, Run } from '../runtime.ts';
import { isAlive, readStat, signalProcess } from './proc.ts';
import type { RunRecord } from './record.ts';

/** One process, started by this agent or an earlier one. Whoever watches it calls `ended`. */
export class ProcessRun implements Run {
  readonly id: string;
  readonly pid: number;
  readonly startedAt: Date;
  readonly restarts: number;
  readonly exited: Promise<Exit>;
  exit: Exit | undefined;
  readonly #record: RunRecord;
  #resolve: (exit: Exit) => void = () => {};

  constructor(id: string, record: RunRecord) {
    this.id = id;
    this.pid = record.pid;
    this.startedAt = record.startedAt;
    this.restarts = record.restarts;
    this.#record = record;
    this.exited = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  ended(exit: Exit): void {
    this.exit ??= exit;
    this.#resolve(this.exit);
  }

  get alive(): boolean {
    return this.exit === undefined && isAlive(this.#record);
  }

  frozen(): boolean {
    const stat = readStat(this.pid);
    return stat?.startTime === this.#record.startTime && stat.state === 'T';
  }

  async stop(signal: NodeJS.Signals, graceMs: number): Promise<Exit> {
    if (graceMs > 0) signalProcess(this.#record, signal);
    const kill = setTimeout(() => signalProcess(this.#record, 'SIGKILL'), graceMs);
    if (graceMs === 0) {
      clearTimeout(kill);
      signalProcess(this.#record, 'SIGKILL');
    }
    return await this.exited.finally(() => clearTimeout(kill));
  }
}
