import { availableParallelism } from 'node:os';
import { parentPort, Worker, workerData } from 'node:worker_threads';
import type { DnsConfig } from '../config.ts';
import { Counters } from '../metrics.ts';
import { AnswerTable } from '../zone/table.ts';
import { serve, zonesOf } from './serve.ts';

interface ThreadData {
  config: DnsConfig;
  serial: number;
  table: SharedArrayBuffer;
  counters: SharedArrayBuffer;
  /** One word: 1 once the table holds what the cluster has. */
  ready: SharedArrayBuffer;
}

/**
 * How many threads answer. One more for each four cores, up to four: a thread costs some 10 MB, and one answers tens of
 * thousands of questions a second.
 */
export function threadsOf(config: DnsConfig): number {
  return config.threads > 0 ? config.threads : Math.min(4, 1 + Math.floor(availableParallelism() / 4));
}

/** Further threads that answer beside the main one, from the same table and sockets of the same port. */
export class Threads {
  readonly counters: Counters[] = [];
  readonly #workers: Worker[] = [];

  /** @param entry URL of the program, which calls {@link runThread} where it is not the main thread */
  constructor(
    count: number,
    entry: string,
    data: Omit<ThreadData, 'counters'>,
    onFailure: (error: Error) => void,
  ) {
    for (let i = 0; i < count; i++) {
      const counters = new Counters();
      this.counters.push(counters);
      const worker = new Worker(new URL(entry), {
        workerData: { ...data, counters: counters.memory } satisfies ThreadData,
      });
      worker.once('error', onFailure);
      this.#workers.push(worker);
    }
  }

  setTable(table: AnswerTable): void {
    for (const worker of this.#workers) worker.postMessage(table.memory);
  }
}

/** What such a thread runs. */
export async function runThread(): Promise<void> {
  const data = workerData as ThreadData;
  const ready = new Int32Array(data.ready);
  const serving = await serve(data.config, zonesOf(data.config, data.serial), {
    table: new AnswerTable(data.table),
    counters: new Counters(data.counters),
    isReady: () => ready[0] === 1,
  });
  parentPort!.on('message', (memory: SharedArrayBuffer) => serving.setTable(new AnswerTable(memory)));
}
