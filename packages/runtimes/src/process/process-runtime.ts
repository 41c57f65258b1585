import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { cgroupProcsFiles } from '../cgroups/cgroups.ts';
import type { Run, Runtime, StartRequest } from '../runtime.ts';
import { launcher } from './launcher.ts';
import { rotateLog } from './log-file.ts';
import { readStat } from './proc.ts';
import { ProcessRun } from './process-run.ts';
import { readRecord, recordText } from './record.ts';

const adoptedPollMs = 100;
const rotateEveryMs = 10_000;
const logMaxBytes = 10 * 1024 * 1024;
const logsKept = 2;
const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** The default: official binaries as processes of the host, each in its own session and cgroup. */
export class ProcessRuntime implements Runtime {
  readonly name = 'process';
  readonly #recordDir: string;
  readonly #adopted = new Set<ProcessRun>();
  readonly #logFiles = new Set<string>();
  readonly #rotation: NodeJS.Timeout;
  #poll: NodeJS.Timeout | undefined;

  constructor(recordDir: string) {
    this.#recordDir = recordDir;
    mkdirSync(recordDir, { recursive: true, mode: 0o700 });
    this.#rotation = setInterval(() => void this.#rotateLogs(), rotateEveryMs).unref();
  }

  async start(request: StartRequest): Promise<Run> {
    const startedAt = new Date();
    await this.forget(request.id);
    const child = this.#spawn(request, startedAt);
    await new Promise<void>((resolve, reject) => child.once('spawn', resolve).once('error', reject));
    const pid = child.pid!;
    const startTime = readStat(pid)?.startTime ?? '0';
    const run = new ProcessRun(request.id, { pid, startTime, restarts: request.restarts, startedAt });
    if (child.exitCode !== null || child.signalCode !== null) {
      run.ended({ code: child.exitCode, signal: child.signalCode });
    }
    child.once('exit', (code, signal) => run.ended({ code, signal }));
    child.unref();
    this.#logFiles.add(request.logFile);
    // What this promises to have started, the next agent must find: the whole record, not a file that is still empty.
    const record = join(this.#recordDir, request.id);
    while (run.exit === undefined && readRecord(record) === undefined) await setTimeout(1);
    return run;
  }

  async adopt(id: string, logFile: string): Promise<Run | 'exited' | undefined> {
    const record = readRecord(join(this.#recordDir, id));
    if (record === undefined) return undefined;
    const run = new ProcessRun(id, record);
    if (!run.alive) return 'exited';
    this.#adopted.add(run);
    this.#logFiles.add(logFile);
    // A program does not tell anybody but its parent of its end; so those of an earlier agent are looked at.
    this.#poll ??= setInterval(() => this.#lookAtAdopted(), adoptedPollMs);
    return run;
  }

  async recorded(): Promise<string[]> {
    return await readdir(this.#recordDir);
  }

  async forget(id: string): Promise<void> {
    await rm(join(this.#recordDir, id), { force: true });
  }

  close(): void {
    clearInterval(this.#poll);
    clearInterval(this.#rotation);
  }

  #spawn(request: StartRequest, startedAt: Date): ChildProcess {
    mkdirSync(dirname(request.logFile), { recursive: true, mode: 0o750 });
    const log = openSync(request.logFile, 'a', 0o640);
    try {
      const args = [
        join(this.#recordDir, request.id),
        recordText(request.restarts, startedAt),
        String(request.oomScoreAdj),
        ...(request.cgroup === undefined ? [] : cgroupProcsFiles(request.cgroup)),
        '--',
        ...request.command,
      ];
      return spawn('/bin/sh', ['-c', launcher, 'rancher-launch', ...args], {
        detached: true,
        cwd: '/',
        env: { PATH: defaultPath, HOME: '/root', ...request.env },
        stdio: ['ignore', log, log],
      });
    } finally {
      closeSync(log);
    }
  }

  #lookAtAdopted(): void {
    for (const run of this.#adopted) {
      if (run.alive) continue;
      this.#adopted.delete(run);
      run.ended({ code: null, signal: null });
    }
    if (this.#adopted.size > 0) return;
    clearInterval(this.#poll);
    this.#poll = undefined;
  }

  async #rotateLogs(): Promise<void> {
    for (const path of this.#logFiles) await rotateLog(path, logMaxBytes, logsKept).catch(() => {});
  }
}
