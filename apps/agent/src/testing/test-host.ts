import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Slice } from '@rancher/contracts';
import { type InstanceSpec, probeDefaults, servicePath } from '@rancher/domain';
import { cgroupExists, removeCgroup } from '@rancher/runtimes';
import { endProcesses } from '../host/end-processes.ts';
import type { FakeServer } from './fake-server.ts';

const main = join(import.meta.dirname, '../main.ts');
/** Both folders are bound, so that the agent's fixed paths are this host's own, from one start to the next. */
const inside = 'mount -n --bind "$1/lib" /var/lib && mount -n --bind "$1/run" /run && shift && exec "$@"';

/** A real agent process in a mount namespace of its own: what it keeps below /var/lib and /run is kept in a folder here. */
export class TestHost {
  readonly dir = mkdtempSync(join(tmpdir(), 'rancher-agent-'));
  readonly cgroup = `/rancher-test-${this.dir.slice(-6)}`;
  #agent: ChildProcess | undefined;

  constructor(server: FakeServer, config: Record<string, unknown> = {}) {
    for (const folder of ['lib/rancher-agent', 'run', 'artifacts'])
      mkdirSync(join(this.dir, folder), { recursive: true });
    const whole = {
      kind: 'machine',
      name: 'test',
      serverUrl: server.url,
      caSha256: server.caSha256,
      token: 'token-of-a-test',
      address: '127.0.0.1',
      cgroup: this.cgroup,
      artifactsDir: join(this.dir, 'artifacts'),
      ...config,
    };
    writeFileSync(join(this.dir, 'config.json'), JSON.stringify(whole));
  }

  /** Its agent's process; the one that mounts becomes it. */
  get agentPid(): number {
    return this.#agent!.pid!;
  }

  async start(): Promise<void> {
    const command = [process.execPath, main, 'run', '--config', join(this.dir, 'config.json')];
    this.#agent = spawn(
      'unshare',
      ['--mount', '--propagation', 'private', '/bin/sh', '-c', inside, 'host', this.dir, ...command],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    this.#agent.stderr?.on('data', (chunk) => {
      this.log += chunk;
    });
    await once(this.#agent, 'spawn');
  }
  log = '';

  /** Ends the agent alone. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (this.#agent === undefined || this.#agent.exitCode !== null || this.#agent.signalCode !== null) return;
    const exited = once(this.#agent, 'exit');
    this.#agent.kill(signal);
    await exited;
  }

  /** Path on this machine of one that is the host's. */
  path(path: string): string {
    return path.replace(/^\/var\/lib/, join(this.dir, 'lib')).replace(/^\/run/, join(this.dir, 'run'));
  }

  read(path: string): string {
    return readFileSync(this.path(path), 'utf8');
  }

  async dispose(): Promise<void> {
    await this.kill();
    if (cgroupExists(this.cgroup)) {
      await endProcesses(this.cgroup, { graceMs: 0 });
      removeCgroup(this.cgroup);
    }
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** A spec of a program that runs until it is stopped, and is healthy as long as its file says so. */
export function testSpec(component: string, changes: Partial<InstanceSpec> = {}): InstanceSpec {
  const configuration = servicePath(component, 'config');
  return {
    component,
    version: '1',
    artifacts: [],
    command: ['/bin/sh', '-c', `echo "${component} starts"; exec sleep 100000`],
    env: {},
    directories: [{ path: servicePath(component), mode: 0o700 }],
    files: [{ path: configuration, mode: 0o600, content: `of ${component}\n` }],
    secrets: [],
    certificates: [],
    addresses: [],
    probe: { exec: { command: ['/bin/true'] }, ...probeDefaults, periodMs: 200 },
    stop: { signal: 'SIGTERM', graceMs: 2000 },
    oomScoreAdj: 0,
    cgroups: [],
    ...changes,
  };
}

/** A slice of that host: `instances` by id, each of the spec named like its service. */
export function testSlice(
  hostId: string,
  generation: number,
  specs: Record<string, InstanceSpec>,
  instances: { id: string; service: string; after?: string[]; notBefore?: number }[],
  changes: Partial<Slice> = {},
): Slice {
  return {
    environmentId: 'env_test',
    hostId,
    hostName: 'test',
    planId: `plan_${generation}`,
    generation,
    instances: instances.map((i) => ({
      after: [],
      notBefore: 0,
      ...i,
      specHash: i.service,
      reason: 'a test',
    })),
    stops: [],
    specs,
    localHosts: [],
    removed: false,
    ...changes,
  };
}
