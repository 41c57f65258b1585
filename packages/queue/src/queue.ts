import { type JobData, type JobName, jobs } from '@rancher/contracts';
import { Queue as BullQueue, type JobsOptions } from 'bullmq';
import { Value } from 'typebox/value';
import { type Backend, openBackend, type QueueConnection, quietly } from './backends.ts';

export interface Queue {
  /**
   * Says "look now": a run starts after this call. While one waits already, nothing is added; while one is under way, one
   * more is kept for after it. Runs with the same id (the catalogue's `deduplicate`) never overlap.
   * @param options.delayMs look then, besides what is asked for sooner or later
   * @throws Error when the data is not what the catalogue says, or the server is away (nothing is lost: `sweep` looks too)
   */
  enqueue<N extends JobName>(name: N, data: JobData<N>, options?: { delayMs?: number }): Promise<void>;
  close(): Promise<void>;
}

/** Names of BullMQ's jobs in a queue. An alarm only enqueues a run when it is due. */
export type JobKind = 'run' | 'alarm';

/** Finished jobs are of no use: what was done is in Postgres. Some failed ones are kept for a look. */
const retention: JobsOptions = {
  attempts: 1,
  removeOnComplete: true,
  removeOnFail: { count: 50, age: 24 * 60 * 60 },
};

/** BullMQ keeps a stream of what it did; we do not read it. */
const streams = { events: { maxLen: 100 } };

/**
 * Opens the sending end of the queues: one for each job of the catalogue. Connects on first use.
 * @param onError takes errors of the connection, the same one at most every ten seconds
 */
export function createQueue(connection: QueueConnection, onError: (error: Error) => void = () => {}): Queue {
  let closed = false;
  const report = quietly((error) => {
    if (!closed) onError(error);
  });
  const backend = openBackend(connection, 'produce', 2, report);
  const queues = openQueues(backend, report);
  return {
    async enqueue(name, data, options) {
      await (await queues.get(name)).add(...jobFor(name, data, options?.delayMs ?? 0));
    },
    async close() {
      closed = true;
      await queues.close();
      await backend.close();
    },
  };
}

/** The arguments of BullMQ's `add`. */
export function jobFor<N extends JobName>(
  name: N,
  data: JobData<N>,
  delayMs: number,
): [JobKind, JobData<N>, JobsOptions] {
  checkData(name, data);
  const id = jobs[name].deduplicate(data as never);
  if (delayMs <= 0) return ['run', data, { ...retention, deduplication: { id, keepLastIfActive: true } }];
  // A delayed run would swallow those that come before it is due, and a kept one may be replaced by it: so an alarm, by
  // the second, beside them.
  const second = Math.ceil((Date.now() + delayMs) / 1000);
  return ['alarm', data, { ...retention, delay: delayMs, deduplication: { id: `${id}/${second}` } }];
}

/** @throws Error that names the job and the field */
export function checkData<N extends JobName>(name: N, data: unknown): asserts data is JobData<N> {
  const schema = jobs[name].schema;
  if (Value.Check(schema, data)) return;
  const first = Value.Errors(schema, data)[0];
  throw new Error(`The data of a job ${name} is wrong: ${first?.instancePath || '/'} ${first?.message}`);
}

export interface Queues {
  get(name: JobName): Promise<BullQueue>;
  close(): Promise<void>;
}

/** Opens BullMQ's queues on demand. One that failed to get ready (BullMQ remembers that for ever) is opened anew. */
export function openQueues(backend: Backend, onError: (error: Error) => void): Queues {
  const open = new Map<JobName, Promise<BullQueue>>();
  let ready: Promise<void> | undefined;
  const start = async (name: JobName): Promise<BullQueue> => {
    ready ??= backend.ready();
    await ready;
    const queue = new BullQueue(
      name,
      { connection: backend.connection, streams } as never,
      backend.factory as never,
    );
    queue.on('error', onError);
    await queue.waitUntilReady();
    return queue;
  };
  return {
    async get(name) {
      const there = open.get(name) ?? start(name);
      open.set(name, there);
      try {
        return await there;
      } catch (error) {
        open.delete(name);
        ready = undefined;
        throw error;
      }
    },
    async close() {
      for (const queue of await Promise.allSettled(open.values())) {
        if (queue.status === 'fulfilled') await queue.value.close();
      }
    },
  };
}
