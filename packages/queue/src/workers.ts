import { type JobData, type JobName, jobs } from '@rancher/contracts';
import { type Job, Worker, type WorkerOptions } from 'bullmq';
import { openBackend, type QueueConnection, quietly } from './backends.ts';
import { checkData, jobFor, openQueues, type Queues } from './queue.ts';

/** One for each job of the catalogue. `signal` aborts when the worker closes: stop soon, what is left is found again. */
export type Handlers = { [N in JobName]: (data: JobData<N>, signal: AbortSignal) => Promise<void> };

export interface WorkersOptions {
  /** Jobs of one name that run at a time; those by the clock run one at a time. */
  concurrency: number;
  /** Takes errors of handlers, with their job; and of the connection, without, the same at most every ten seconds. */
  onError?: (error: Error, job?: { name: JobName; data: unknown }) => void;
  /** Takes each job that ran, for metrics. */
  onFinished?: (job: { name: JobName; waitedMs: number; tookMs: number; failed: boolean }) => void;
}

export interface Workers {
  /** Takes no more jobs, aborts those that run, and waits for them, at most `graceMs` (10 s by default). */
  close(options?: { graceMs?: number }): Promise<void>;
}

/** A worker that was killed is noticed after at most the sum of both, and its job run again (ms). */
const lockDuration = 6_000;
const stalledInterval = 3_000;
/** How often it is checked that the jobs by the clock are still on it (ms): a Redis may have lost everything. */
const clockCheckMs = 10_000;

/**
 * Runs the catalogue's jobs, each name in a queue of its own, so that a slow kind holds up no other.
 * @throws Error when a job has no handler, or the server cannot be reached
 */
export async function startWorkers(
  connection: QueueConnection,
  handlers: Handlers,
  options: WorkersOptions,
): Promise<Workers> {
  const names = Object.keys(jobs) as JobName[];
  const lacking = names.filter((name) => typeof handlers[name] !== 'function');
  if (lacking.length > 0) throw new Error(`There is no handler for: ${lacking.join(', ')}`);
  const closing = new AbortController();
  const onError = quietly((error) => {
    if (!closing.signal.aborted) options.onError?.(error);
  });
  // Each worker keeps one connection to listen on.
  const backend = openBackend(
    connection,
    'consume',
    names.length + Math.max(4, options.concurrency),
    onError,
  );
  const queues = openQueues(backend, onError);
  const workers: Worker[] = [];
  const running = new Set<Promise<void>>();
  let clock: NodeJS.Timeout | undefined;
  const close = async (graceMs: number): Promise<void> => {
    clearInterval(clock);
    closing.abort();
    await Promise.all(workers.map((worker) => worker.pause(true)));
    await within(graceMs, Promise.allSettled(running));
    // Told before, BullMQ would wait for those that do not end; it does not change its mind.
    const force = running.size > 0;
    await within(5_000, Promise.all([...workers.map((worker) => worker.close(force)), queues.close()]));
    await within(1_000, backend.close());
  };
  let closed: Promise<void> | undefined;
  try {
    await backend.ready();
    await setClock(queues);
    for (const name of names) {
      const run = processor(
        name,
        handlers[name] as Handlers[typeof name],
        queues,
        closing.signal,
        running,
        options,
      );
      const settings: WorkerOptions<unknown> = {
        connection: backend.connection,
        concurrency: jobs[name].everyMs === null ? options.concurrency : 1,
        lockDuration,
        stalledInterval,
        // A killed worker's job is run again, however often: it says "look now", and that stays true.
        maxStalledCount: 1_000,
        runRetryDelay: 500,
      };
      const worker = new Worker(name, run, settings as never, backend.factory as never);
      worker.on('error', onError);
      workers.push(worker);
    }
    await Promise.all(workers.map((worker) => worker.waitUntilReady()));
  } catch (error) {
    await close(0);
    throw error;
  }
  clock = setInterval(() => void setClock(queues).catch(onError), clockCheckMs);
  return {
    async close({ graceMs = 10_000 } = {}) {
      closed ??= close(graceMs);
      await closed;
    },
  };
}

/** Puts the jobs that run by the clock on it, where they are not. */
async function setClock(queues: Queues): Promise<void> {
  for (const name of Object.keys(jobs) as JobName[]) {
    const every = jobs[name].everyMs;
    if (every === null) continue;
    const queue = await queues.get(name);
    const there = await queue.getJobScheduler(name);
    if (there?.every === every && there.next !== undefined && there.next > Date.now() - clockCheckMs)
      continue;
    const [kind, data, opts] = jobFor(name, {}, 0);
    const { deduplication: _, ...template } = opts;
    await queue.upsertJobScheduler(name, { every }, { name: kind, data, opts: template as never });
  }
}

function processor<N extends JobName>(
  name: N,
  handler: Handlers[N],
  queues: Queues,
  closing: AbortSignal,
  running: Set<Promise<void>>,
  options: WorkersOptions,
): (job: Job, token?: string, signal?: AbortSignal) => Promise<void> {
  const handle = async (job: Job, signal: AbortSignal): Promise<void> => {
    const startedAt = performance.now();
    const waitedMs = Math.max(0, Date.now() - job.timestamp);
    const finished = (failed: boolean): void =>
      options.onFinished?.({ name, waitedMs, tookMs: performance.now() - startedAt, failed });
    try {
      checkData(name, job.data);
      await handler(job.data, signal);
      finished(false);
    } catch (error) {
      finished(true);
      if (!closing.aborted) options.onError?.(error as Error, { name, data: job.data });
      throw error;
    }
  };
  return async (job, _token, signal) => {
    if (job.name === 'alarm') {
      await (await queues.get(name)).add(...jobFor(name, job.data, 0));
      return;
    }
    // BullMQ's own signal says that the lock was lost: another worker may be running this job.
    const run = handle(job, signal === undefined ? closing : AbortSignal.any([closing, signal]));
    running.add(run);
    await run.finally(() => running.delete(run));
  };
}

/** Waits for `work`, at most so long; what it fails with is not of interest any more. */
async function within(ms: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([work.catch(() => {}), timeout]);
  clearTimeout(timer);
}
