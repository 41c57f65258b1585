/**
 * Thousands of agents in one process: each the real agent, over its own real socket, with the simulated runtime instead
 * of processes. Run as a child of `scale.ts`, which talks to it by messages.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSimulatedAgent } from '@rancher/agent-app/simulated';
import { type Run, SimulatedRuntime, type StartRequest } from '@rancher/runtimes';

export type ToFarm =
  | { type: 'join'; environment: string; token: string; hosts: number; serverUrl: string; caSha256: string }
  | { type: 'fail'; perSecond: number; seconds: number }
  | { type: 'stop' };

export type FromFarm =
  | { type: 'joined'; environment: string }
  | { type: 'failed'; latenciesMs: number[]; failures: number; unanswered: number };

const folder = mkdtempSync(join(tmpdir(), 'rancher-farm-'));
const hosts: SimulatedHost[] = [];

/** A runtime that notes how long a service was gone. */
class WatchedRuntime extends SimulatedRuntime {
  readonly running = new Map<string, string>();
  readonly failedAt = new Map<string, number>();
  readonly latenciesMs: number[] = [];

  override async start(request: StartRequest): Promise<Run> {
    const run = await super.start(request);
    const service = serviceOf(request);
    const struck = this.failedAt.get(service);
    // A second failure of a place is held back by the backoff, so each place fails once and its mark stays.
    if (struck !== undefined && struck > 0) {
      this.latenciesMs.push(performance.now() - struck);
      this.failedAt.set(service, 0);
    }
    this.running.set(service, request.id);
    return run;
  }

  /** Fails a place that never failed before; false when there is none. */
  strike(): boolean {
    for (const [service, id] of this.running) {
      if (this.failedAt.has(service)) continue;
      this.failedAt.set(service, performance.now());
      return this.fail(id);
    }
    return false;
  }
}

/** The log file names the service, the one thing of a start request that outlives an instance. */
function serviceOf(request: StartRequest): string {
  return request.logFile;
}

interface SimulatedHost {
  agent: ReturnType<typeof createSimulatedAgent>;
  runtime: WatchedRuntime;
}

function add(name: string, message: Extract<ToFarm, { type: 'join' }>): SimulatedHost {
  const runtime = new WatchedRuntime('simulated');
  const dir = mkdtempSync(join(folder, 'host-'));
  const { serverUrl, caSha256, token } = message;
  const config = { name, serverUrl, caSha256, token, stateDir: dir, runDir: dir, address: '127.0.0.1' };
  const agent = createSimulatedAgent(config, runtime);
  void agent.run();
  return { agent, runtime };
}

async function fail(perSecond: number, seconds: number): Promise<void> {
  let failures = 0;
  let next = 0;
  const started = performance.now();
  // Spread over each second, a different host each time.
  while (performance.now() - started < seconds * 1000) {
    const due = ((performance.now() - started) / 1000) * perSecond;
    for (let tried = 0; failures < due && tried < hosts.length; tried++) {
      if (hosts[next++ % hosts.length]?.runtime.strike()) failures++;
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const answered = () => hosts.reduce((sum, h) => sum + h.runtime.latenciesMs.length, 0);
  const deadline = performance.now() + 60_000;
  while (answered() < failures && performance.now() < deadline) await new Promise((r) => setTimeout(r, 50));
  const latenciesMs = hosts.flatMap((h) => h.runtime.latenciesMs.splice(0));
  process.send?.({ type: 'failed', latenciesMs, failures, unanswered: failures - latenciesMs.length });
}

function stop(): void {
  for (const { agent } of hosts) agent.close();
  rmSync(folder, { recursive: true, force: true });
  process.exit(0);
}

process.on('message', (message: ToFarm) => {
  if (message.type === 'join') {
    for (let i = 1; i <= message.hosts; i++) hosts.push(add(`${message.environment}-${i}`, message));
    process.send?.({ type: 'joined', environment: message.environment });
  } else if (message.type === 'fail') void fail(message.perSecond, message.seconds);
  else stop();
});
process.on('disconnect', stop);
