import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { type JobName, jobs } from '@rancher/contracts';
import { startPostgres, startRedis, type TestServer, until } from '@rancher/testing';
import { Redis } from 'ioredis';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openBackend } from './backends.ts';
import {
  createQueue,
  type Handlers,
  type Queue,
  type QueueConnection,
  startWorkers,
  type Workers,
} from './index.ts';
import { openQueues } from './queue.ts';

/** Handlers that do nothing, for every job of the catalogue. */
function idleHandlers(): Handlers {
  const idle = async (): Promise<void> => {};
  return Object.fromEntries(Object.keys(jobs).map((name) => [name, idle])) as Record<JobName, typeof idle>;
}

interface Kind {
  kind: string;
  start: () => Promise<TestServer>;
  connection: (url: string) => QueueConnection;
  /** Forgets all that the server holds of queues. */
  forget: (url: string) => Promise<void>;
}

const kinds: Kind[] = [
  {
    kind: 'Postgres',
    start: () => startPostgres({ migrated: false }),
    connection: (postgresUrl) => ({ postgresUrl }),
    forget: async (url) => {
      const client = new pg.Client({ connectionString: url });
      await client.connect();
      await client.query(`DO $$ DECLARE t text; BEGIN
        FOR t IN SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
          WHERE schemaname = 'bullmq' AND tablename NOT LIKE '%migration%' LOOP EXECUTE 'DELETE FROM ' || t; END LOOP; END $$`);
      await client.end();
    },
  },
  {
    kind: 'Redis',
    start: startRedis,
    connection: (redisUrl) => ({ redisUrl }),
    forget: async (url) => {
      const redis = new Redis(url);
      await redis.flushall();
      redis.disconnect();
    },
  },
];

const id = (environmentId: string): { environmentId: string } => ({ environmentId });

describe.each(kinds)('queues on $kind', ({ start, connection, forget }) => {
  let server: TestServer;
  let queue: Queue;
  const open: Workers[] = [];
  const errors: { message: string; job: string | undefined }[] = [];

  beforeAll(async () => {
    server = await start();
  });
  beforeEach(() => {
    queue = createQueue(connection(server.url));
    errors.length = 0;
  });
  afterEach(async () => {
    for (const workers of open.splice(0)) await workers.close({ graceMs: 0 });
    await queue.close();
    await forget(server.url);
  });
  afterAll(() => server.stop());

  async function work(handlers: Partial<Handlers>, concurrency = 4): Promise<Workers> {
    const all = { ...idleHandlers(), ...handlers };
    const workers = await startWorkers(connection(server.url), all, {
      concurrency,
      onError: (error, job) => errors.push({ message: error.message, job: job?.name }),
    });
    open.push(workers);
    return workers;
  }

  /** A handler that stays in its job until told. */
  function gate(): {
    handler: Handlers['reconcile-environment'];
    started: string[];
    release: (n?: number) => void;
  } {
    const started: string[] = [];
    const waiting: (() => void)[] = [];
    let passes = 0;
    return {
      started,
      handler: async ({ environmentId }) => {
        started.push(environmentId);
        if (passes > 0) passes--;
        else await new Promise<void>((resolve) => waiting.push(resolve));
      },
      release(n = 1) {
        for (let i = 0; i < n; i++) {
          const next = waiting.shift();
          if (next === undefined) passes++;
          else next();
        }
      },
    };
  }

  it('brings data to the handler of its name', async () => {
    const seen: string[] = [];
    await work({
      'reconcile-environment': async (d) => void seen.push(`reconcile ${d.environmentId}`),
      'check-environment': async (d) => void seen.push(`check ${d.environmentId}`),
    });
    await queue.enqueue('reconcile-environment', id('a'));
    await queue.enqueue('check-environment', id('a'));
    await until('both ran', () => seen.length === 2);
    expect(seen.sort()).toEqual(['check a', 'reconcile a']);
  });

  it('keeps jobs that were added before a worker ran', async () => {
    await queue.enqueue('reconcile-environment', id('a'));
    const { handler, started, release } = gate();
    release();
    await work({ 'reconcile-environment': handler });
    await until('it ran', () => started.length === 1);
  });

  it('refuses data that the catalogue does not know, by name', async () => {
    const wrong = queue.enqueue('reconcile-environment', { environmentId: 'a', more: 1 } as never);
    await expect(wrong).rejects.toThrow(/reconcile-environment is wrong/);
    await expect(queue.enqueue('check-environment', {} as never)).rejects.toThrow(/environmentId/);
  });

  it('does not start without a handler for each job', async () => {
    const started = startWorkers(connection(server.url), { sweep: async () => {} } as never, {
      concurrency: 1,
    });
    const lacking = Object.keys(jobs).filter((name) => name !== 'sweep');
    await expect(started).rejects.toThrow(`no handler for: ${lacking.join(', ')}`);
  });

  it('adds nothing while one of the same id waits', async () => {
    const { handler, started, release } = gate();
    await work({ 'reconcile-environment': handler }, 1);
    await queue.enqueue('reconcile-environment', id('other'));
    await until('the only place is taken', () => started.length === 1);
    for (let i = 0; i < 5; i++) await queue.enqueue('reconcile-environment', id('a'));
    release(10);
    await queue.enqueue('reconcile-environment', id('last'));
    await until('the last ran', () => started.includes('last'));
    expect(started).toEqual(['other', 'a', 'last']);
  });

  it('keeps one for after the one under way, and no two at a time', async () => {
    const { handler, started, release } = gate();
    await work({ 'reconcile-environment': handler });
    await queue.enqueue('reconcile-environment', id('a'));
    await until('it is under way', () => started.length === 1);
    for (let i = 0; i < 5; i++) await queue.enqueue('reconcile-environment', id('a'));
    await queue.enqueue('reconcile-environment', id('b'));
    await until('another id runs beside it', () => started.includes('b'));
    expect(started).toEqual(['a', 'b']);
    release(10);
    await queue.enqueue('reconcile-environment', id('c'));
    await until(
      'the kept one ran',
      () => started.filter((s) => s === 'a').length === 2 && started.includes('c'),
    );
    await queue.enqueue('reconcile-environment', id('d'));
    await until('all is done', () => started.includes('d'));
    expect(started.filter((s) => s === 'a')).toHaveLength(2);
  });

  it('loses no wake-up: the last run of each id starts after the last call', async () => {
    const truth = new Map<string, number>();
    const seen = new Map<string, number>();
    const running = new Set<string>();
    let overlaps = 0;
    await work({
      'reconcile-environment': async ({ environmentId }) => {
        if (running.has(environmentId)) overlaps++;
        running.add(environmentId);
        const at = truth.get(environmentId) ?? 0;
        await delay(Math.random() * 5);
        seen.set(environmentId, at);
        running.delete(environmentId);
        if (Math.random() < 0.2) throw new Error('it fails now and then');
        // What reconcilers do: look again later, which must not replace a look that is asked for now.
        if (Math.random() < 0.2)
          await queue.enqueue('reconcile-environment', id(environmentId), { delayMs: 60_000 });
      },
    });
    const callers = Array.from({ length: 4 }, async (_, caller) => {
      for (let i = 1; i <= 60; i++) {
        const environmentId = `e${(caller + i) % 3}`;
        truth.set(environmentId, (truth.get(environmentId) ?? 0) + 1);
        await queue.enqueue('reconcile-environment', id(environmentId));
        if (i % 7 === 0) await delay(Math.random() * 20);
      }
    });
    await Promise.all(callers);
    await until('each id saw the last', () =>
      [...truth].every(([name, version]) => seen.get(name) === version),
    );
    expect(overlaps).toBe(0);
  });

  it('tells of a handler that fails, and runs the next', async () => {
    let runs = 0;
    await work({
      'check-environment': async () => {
        runs++;
        throw new Error(`broken ${runs}`);
      },
    });
    await queue.enqueue('check-environment', id('a'));
    await until('it failed', () => errors.length === 1);
    await queue.enqueue('check-environment', id('a'));
    await until('it failed again', () => errors.length === 2);
    expect(errors).toEqual([
      { message: 'broken 1', job: 'check-environment' },
      { message: 'broken 2', job: 'check-environment' },
    ]);
  });

  it('keeps few of the failed and none of the finished', async () => {
    let runs = 0;
    await work({
      'check-environment': async ({ environmentId }) => {
        runs++;
        if (environmentId.startsWith('bad')) throw new Error('broken');
      },
    });
    for (let i = 0; i < 70; i++)
      await queue.enqueue('check-environment', id(`${i < 60 ? 'bad' : 'good'}${i}`));
    await until('all ran', () => runs === 70);
    const backend = openBackend(connection(server.url), 'produce', 2, () => {});
    const queues = openQueues(backend, () => {});
    // The last of them is recorded, and what is too much taken away, a moment after its handler ended. Those that end at
    // the same moment do not see each other, so as many more may stay as run at a time.
    await until('about 50 failed ones and no finished one are kept', async () => {
      const now = await (await queues.get('check-environment')).getJobCounts();
      const failed = now.failed ?? 0;
      return now.active === 0 && now.completed === 0 && failed >= 50 && failed < 54;
    });
    await queues.close();
    await backend.close();
  });

  it('runs what is asked for now before what is asked for later, and both', async () => {
    const seen: string[] = [];
    await work({ 'reconcile-environment': async (d) => void seen.push(d.environmentId) });
    await queue.enqueue('reconcile-environment', id('a'), { delayMs: 700 });
    await queue.enqueue('reconcile-environment', id('a'));
    await until('the first ran', () => seen.length === 1);
    await queue.enqueue('reconcile-environment', id('b'));
    await until('the delayed one ran', () => seen.length === 3);
    expect(seen).toEqual(['a', 'b', 'a']);
  });

  it('runs the jobs that are on the clock', async () => {
    let sweeps = 0;
    await work({ sweep: async () => void sweeps++ });
    await until('it swept twice', () => sweeps >= 2);
  });

  it('puts them on the clock again when the server lost everything', async () => {
    let sweeps = 0;
    await work({ sweep: async () => void sweeps++ });
    await until('it swept', () => sweeps > 0);
    await forget(server.url);
    const before = sweeps;
    await until('it sweeps again', () => sweeps >= before + 2, { withinMs: 40_000 });
  });

  it('aborts and awaits what runs when it closes, and takes no more', async () => {
    const seen: string[] = [];
    const workers = await work({
      'reconcile-environment': async ({ environmentId }, signal) => {
        seen.push(`${environmentId} started`);
        await once(signal, 'abort');
        await delay(50);
        seen.push(`${environmentId} ended`);
      },
    });
    await queue.enqueue('reconcile-environment', id('a'));
    await until('it runs', () => seen.length === 1);
    await workers.close();
    expect(seen).toEqual(['a started', 'a ended']);
    await queue.enqueue('reconcile-environment', id('b'));
    const { handler, started, release } = gate();
    release(2);
    await work({ 'reconcile-environment': handler });
    await until('the next worker takes it', () => started.length === 1);
    expect(started).toEqual(['b']);
  });

  it('does not wait for ever for a handler that does not end', async () => {
    const { handler, started, release } = gate();
    const workers = await work({ 'reconcile-environment': handler });
    await queue.enqueue('reconcile-environment', id('a'));
    await until('it runs', () => started.length === 1);
    await workers.close({ graceMs: 100 });
    release();
  });

  it('runs a job again whose worker was killed', async () => {
    const code = `
      import { jobs } from '@rancher/contracts';
      import { startWorkers } from '@rancher/queue';
      const hang = async () => { console.log('running'); await new Promise(() => {}); };
      const idle = Object.fromEntries(Object.keys(jobs).map((name) => [name, async () => {}]));
      await startWorkers(JSON.parse(process.argv[1]), { ...idle, 'reconcile-environment': hang }, { concurrency: 1 });`;
    const args = ['--input-type=module', '-e', code, JSON.stringify(connection(server.url))];
    const child = spawn(process.execPath, args, {
      cwd: import.meta.dirname,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await queue.enqueue('reconcile-environment', id('a'));
    await once(child.stdout, 'data');
    child.kill('SIGKILL');
    await once(child, 'exit');
    await queue.enqueue('reconcile-environment', id('a'));
    let runs = 0;
    await work({ 'reconcile-environment': async () => void runs++ });
    await until('it ran again, and the one that was kept', () => runs >= 2, { withinMs: 60_000 });
  });

  it.each(['pause', 'kill'] as const)('goes on by itself after a %s of the server', async (how) => {
    const seen: string[] = [];
    let sweeps = 0;
    const { handler, started, release } = gate();
    await work({
      'reconcile-environment': async (d) => void seen.push(d.environmentId),
      'check-environment': handler,
      sweep: async () => void sweeps++,
    });
    await queue.enqueue('reconcile-environment', id('before'));
    await queue.enqueue('check-environment', id('during'));
    await until('one ran, one is under way', () => seen.length === 1 && started.length === 1);
    await server[how]();
    await expect(queue.enqueue('reconcile-environment', id('lost'))).rejects.toThrow();
    release(10);
    await server.resume();
    const before = sweeps;
    await until('it takes jobs again', () =>
      queue.enqueue('reconcile-environment', id('after')).then(() => true),
    );
    await until('they run', () => seen.includes('after'));
    await until('the clock goes on', () => sweeps > before, { withinMs: 40_000 });
    // What was under way meanwhile does not stand in the way of the next of its id.
    await queue.enqueue('check-environment', id('during'));
    await until('another of that id runs', () => started.length >= 2, { withinMs: 40_000 });
  });

  it('does not start when the server cannot be reached', async () => {
    const nowhere = connection(server.url.replace(/:\d+(\/|$)/, ':1$1'));
    await expect(startWorkers(nowhere, idleHandlers(), { concurrency: 1 })).rejects.toThrow(/ECONNREFUSED/);
    const lost = createQueue(nowhere);
    await expect(lost.enqueue('sweep', {})).rejects.toThrow();
    await lost.close();
  });
});
