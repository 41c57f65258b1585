import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Run, Runtime, StartRequest } from './runtime.ts';

/** What a runtime's own test file gives to the suite that every adapter passes. */
export interface ConformanceSubject {
  /** A runtime as a new agent would make it: it knows earlier runs of this subject only from what is kept. */
  open(): Runtime;
  /** A request for a program that runs until it is stopped. */
  request(id: string): StartRequest;
  /** Ends a run from outside, as a crash would. */
  crash(run: Run): void;
  dispose(): void;
}

/** The suite. What it protects: an agent may rely on any runtime in the same way. */
export function describeRuntime(name: string, make: () => ConformanceSubject): void {
  describe(`the ${name} runtime`, () => {
    let subject: ConformanceSubject;
    let runtime: Runtime;
    let runs: Run[];

    beforeEach(() => {
      subject = make();
      runtime = subject.open();
      runs = [];
    });
    afterEach(async () => {
      await Promise.all(runs.map((run) => run.stop('SIGKILL', 0)));
      runtime.close();
      subject.dispose();
    });
    async function start(id: string, changes: Partial<StartRequest> = {}): Promise<Run> {
      const run = await runtime.start({ ...subject.request(id), ...changes });
      runs.push(run);
      return run;
    }

    it('says its name', () => {
      expect(runtime.name).toBe(name);
    });

    it('starts an instance that runs', async () => {
      const run = await start('ins_a', { restarts: 3 });
      expect(run.exit).toBeUndefined();
      expect(run.pid).toBeGreaterThan(0);
      expect(run.restarts).toBe(3);
      expect(run.frozen()).toBe(false);
    });

    it('tells of an end at once', async () => {
      const run = await start('ins_a');
      subject.crash(run);
      expect(await run.exited).toEqual({ code: null, signal: 'SIGKILL' });
      expect(run.exit).toEqual({ code: null, signal: 'SIGKILL' });
    });

    it('stops with the signal asked for, and kills at once where there is no grace', async () => {
      const gentle = await start('ins_a');
      const hard = await start('ins_b');
      expect(await gentle.stop('SIGTERM', 10_000)).toEqual({ code: null, signal: 'SIGTERM' });
      expect(await hard.stop('SIGTERM', 0)).toEqual({ code: null, signal: 'SIGKILL' });
    });

    it('gives the same end when it is asked twice', async () => {
      const run = await start('ins_a');
      const [first, second] = await Promise.all([run.stop('SIGTERM', 10_000), run.stop('SIGTERM', 10_000)]);
      expect(second).toEqual(first);
      expect(await run.stop('SIGTERM', 10_000)).toEqual(first);
    });

    it('adopts what runs after the agent restarted, and notices its end', async () => {
      const run = await start('ins_a', { restarts: 2 });
      runtime.close();
      runtime = subject.open();
      expect(await runtime.recorded()).toEqual(['ins_a']);
      const adopted = await runtime.adopt('ins_a', subject.request('ins_a').logFile);
      if (adopted === undefined || adopted === 'exited') throw new Error(`not adopted: ${adopted}`);
      expect(adopted.pid).toBe(run.pid);
      expect(adopted.restarts).toBe(2);
      expect(adopted.startedAt).toEqual(run.startedAt);
      subject.crash(adopted);
      await adopted.exited;
      expect(adopted.exit).toBeDefined();
    });

    it('tells an instance that ended without it from one that was never started', async () => {
      const run = await start('ins_a');
      subject.crash(run);
      await run.exited;
      runtime.close();
      runtime = subject.open();
      expect(await runtime.adopt('ins_a', '/dev/null')).toBe('exited');
      expect(await runtime.adopt('ins_b', '/dev/null')).toBeUndefined();
    });

    it('forgets', async () => {
      const run = await start('ins_a');
      await run.stop('SIGKILL', 0);
      await runtime.forget('ins_a');
      await runtime.forget('ins_a');
      expect(await runtime.recorded()).toEqual([]);
      expect(await runtime.adopt('ins_a', '/dev/null')).toBeUndefined();
    });
  });
}
