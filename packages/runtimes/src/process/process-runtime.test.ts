import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cgroupProcesses, makeCgroup, removeCgroup } from '../cgroups/cgroups.ts';
import { describeRuntime } from '../conformance.ts';
import type { StartRequest } from '../runtime.ts';
import { isAlive, readStat } from './proc.ts';
import { ProcessRuntime } from './process-runtime.ts';

describeRuntime('process', () => {
  const dir = mkdtempSync(join(tmpdir(), 'rancher-runtime-'));
  return {
    open: () => new ProcessRuntime(join(dir, 'run')),
    request: (id) => request(dir, id, 'exec sleep 1000'),
    crash: (run) => process.kill(run.pid, 'SIGKILL'),
    dispose: () => rmSync(dir, { recursive: true }),
  };
});

function request(dir: string, id: string, script: string): StartRequest {
  const command = ['/bin/sh', '-c', script];
  return {
    id,
    command,
    env: { WORD: 'hello' },
    logFile: join(dir, 'log', 'x.log'),
    oomScoreAdj: 0,
    restarts: 0,
  };
}

describe('a process', () => {
  let dir: string;
  let runtime: ProcessRuntime;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'rancher-runtime-'));
    runtime = new ProcessRuntime(join(dir, 'run'));
  });
  afterEach(() => {
    runtime.close();
    rmSync(dir, { recursive: true });
  });

  it('appends both its outputs to the log, has its environment, and tells its exit code', async () => {
    const script = 'echo "$WORD"; echo oops >&2; exit 7';
    const first = await runtime.start(request(dir, 'a', script));
    expect(await first.exited).toEqual({ code: 7, signal: null });
    await (await runtime.start(request(dir, 'b', script))).exited;
    expect(readFileSync(join(dir, 'log', 'x.log'), 'utf8')).toBe('hello\noops\nhello\noops\n');
  });

  it('that cannot be executed exits with 127 and says why in its log', async () => {
    const run = await runtime.start({ ...request(dir, 'a', ''), command: ['/does/not/exist'] });
    expect(await run.exited).toEqual({ code: 127, signal: null });
    expect(readFileSync(join(dir, 'log', 'x.log'), 'utf8')).toContain('/does/not/exist');
  });

  it('is killed when it does not heed the signal within its grace', async () => {
    const run = await runtime.start(request(dir, 'a', 'trap "" TERM; echo up; while :; do sleep 0.01; done'));
    await expect.poll(() => readFileSync(join(dir, 'log', 'x.log'), 'utf8')).toBe('up\n');
    expect(await run.stop('SIGTERM', 50)).toEqual({ code: null, signal: 'SIGKILL' });
  });

  it('is seen to be frozen, and is killed all the same', async () => {
    const run = await runtime.start(request(dir, 'a', 'exec sleep 1000'));
    process.kill(run.pid, 'SIGSTOP');
    await expect.poll(() => run.frozen()).toBe(true);
    expect(await run.stop('SIGTERM', 0)).toEqual({ code: null, signal: 'SIGKILL' });
    expect(run.frozen()).toBe(false);
  });

  it('leaves its children alone when it is stopped', async () => {
    const run = await runtime.start(request(dir, 'a', 'sleep 1000 & echo $!; exec sleep 1000'));
    const child = () => Number(readFileSync(join(dir, 'log', 'x.log'), 'utf8'));
    await expect.poll(child).toBeGreaterThan(0);
    const identity = readStat(child())!;
    await run.stop('SIGTERM', 10_000);
    expect(isAlive(identity)).toBe(true);
    process.kill(identity.pid, 'SIGKILL');
  });

  it('runs in its cgroup from its first instruction', async () => {
    const cgroup = `/rancher-test-${process.pid}/x`;
    makeCgroup(cgroup);
    try {
      const run = await runtime.start({ ...request(dir, 'a', 'sleep 1000'), cgroup });
      await expect.poll(() => cgroupProcesses(cgroup)).toContain(run.pid);
      for (const pid of cgroupProcesses(cgroup)) process.kill(pid, 'SIGKILL');
      await run.exited;
      await expect.poll(() => cgroupProcesses(cgroup)).toEqual([]);
    } finally {
      removeCgroup(`/rancher-test-${process.pid}`);
    }
  });

  it('survives the agent that started it, is adopted by the next, and its end is noticed', async () => {
    const agent = spawn(process.execPath, ['--input-type=module', '-e', startsAndDies(dir)], {
      stdio: 'inherit',
      timeout: 30_000,
      killSignal: 'SIGKILL',
    });
    await once(agent, 'exit');
    const run = await runtime.adopt('a', join(dir, 'log', 'x.log'));
    if (run === undefined || run === 'exited') throw new Error(`not adopted: ${run}`);
    expect(readStat(run.pid)?.parent).not.toBe(agent.pid);
    expect(await run.stop('SIGTERM', 10_000)).toEqual({ code: null, signal: null });
  });
});

/** An agent that starts a process and is killed before it notes anything: as soon as what the process notes is there. */
function startsAndDies(dir: string): string {
  const module = join(import.meta.dirname, 'process-runtime.ts');
  const record = join(import.meta.dirname, 'record.ts');
  return `
    import { ProcessRuntime } from ${JSON.stringify(module)};
    import { readRecord } from ${JSON.stringify(record)};
    import { setImmediate } from 'node:timers/promises';
    void new ProcessRuntime(${JSON.stringify(join(dir, 'run'))}).start(${JSON.stringify(request(dir, 'a', 'exec sleep 1000'))});
    while (readRecord(${JSON.stringify(join(dir, 'run', 'a'))}) === undefined) await setImmediate();
    process.kill(process.pid, 'SIGKILL');
  `;
}
