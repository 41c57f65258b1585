import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import {
  type ComponentContext,
  components,
  etcdDataDir,
  etcdPeerUrl,
  secretDefinitions,
} from '@rancher/components';
import type { InstanceSpec } from '@rancher/domain';
import { makeCgroup } from './cgroups.ts';
import { materialize } from './materialize.ts';
import { waitHealthy } from './probe.ts';

export const hostName = 'floor-1';
export const address = '172.30.0.2';

/** The intent and the facts of the one host that the floor is measured on. */
export function contextOf(
  kubernetesVersion: string,
  cgroupRoot: string,
  cgroupVersion: 1 | 2,
): ComponentContext {
  const peer = { name: hostName, address };
  return {
    environment: {
      id: 'env_floor',
      name: 'floor',
      kubernetesVersion,
      podCidr: '10.42.0.0/16',
      serviceCidr: '10.43.0.0/16',
      controlPlaneReplicas: 1,
      options: {},
      etcdRecovery: null,
    },
    host: {
      id: 'host_floor',
      ...peer,
      labels: {},
      facts: {
        agentVersion: '0',
        hostname: hostName,
        address,
        os: 'linux',
        arch: process.arch === 'arm64' ? 'arm64' : 'amd64',
        kernel: release(),
        cores: 2,
        memoryBytes: 0,
        diskBytes: 0,
        diskFreeBytes: 0,
        cgroupVersion,
        cgroupDriver: 'cgroupfs',
        cgroupRoot,
        nftables: works('nft', 'list', 'tables'),
        iptables: works('iptables', '--version'),
        sysResource: hasSysResource(),
        agentPid: process.pid,
        localHosts: false,
      },
    },
    etcd: [peer],
    holdsEtcd: true,
    etcdMember: {
      dataDir: etcdDataDir('etm_floor'),
      initialCluster: `${hostName}=${etcdPeerUrl(address)}`,
      initialClusterState: 'new',
      recoveredFrom: null,
    },
    apiServers: [peer],
  };
}

interface Running {
  child: ChildProcess;
  exit: string | undefined;
  /** Start again what exits, as a hand would; kube-controller-manager gives up when it finds no API server. */
  keep: boolean;
}

/** The processes of a system stack, run from its specs with nothing between: no agent, no plan. */
export class Stack {
  readonly specs: Map<string, InstanceSpec>;
  readonly secrets: Map<string, string>;
  readonly #running = new Map<string, Running>();

  constructor(specs: Map<string, InstanceSpec>, secrets: Map<string, string>) {
    this.specs = specs;
    this.secrets = secrets;
  }

  /** Renders all specs and writes all their files, with the certificates ready. */
  static async prepare(ctx: ComponentContext): Promise<Stack> {
    const secrets = new Map<string, string>();
    for (const { name, generate } of secretDefinitions) secrets.set(name, await generate());
    const specs = new Map(components.map((c) => [c.name, c.spec(ctx)]));
    for (const spec of specs.values()) {
      await materialize(spec, secrets);
      for (const path of spec.cgroups) makeCgroup(`${ctx.host.facts.cgroupRoot}/${path}`);
      for (const ip of spec.addresses) execFileSync('ip', ['address', 'add', `${ip}/32`, 'dev', 'lo']);
    }
    return new Stack(specs, secrets);
  }

  start(name: string, options: { keep?: boolean } = {}): void {
    const spec = this.#spec(name);
    mkdirSync('/var/log/floor', { recursive: true });
    const log = openSync(`/var/log/floor/${name}.log`, 'a');
    const [program = '', ...args] = spec.command;
    const child = spawn(program, args, {
      env: { PATH: process.env.PATH, ...spec.env },
      stdio: ['ignore', log, log],
      detached: true,
    });
    closeSync(log);
    const running: Running = { child, exit: undefined, keep: options.keep ?? false };
    child.once('exit', (code, signal) => {
      running.exit = `exited with ${signal ?? code}`;
      if (running.keep) this.start(name, options);
    });
    this.#running.set(name, running);
  }

  keepNone(): void {
    for (const running of this.#running.values()) running.keep = false;
  }

  /** Waits until the probe is satisfied; throws when the process exits before, unless it is kept. */
  async healthy(name: string): Promise<void> {
    await waitHealthy(name, this.#spec(name).probe, () => {
      const running = this.#running.get(name);
      return running?.keep ? undefined : running?.exit;
    });
  }

  /** Kills one process, and waits until it is gone. */
  async kill(name: string): Promise<void> {
    const child = this.#running.get(name)?.child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
  }

  #spec(name: string): InstanceSpec {
    const spec = this.specs.get(name);
    if (spec === undefined) throw new Error(`no component ${name}`);
    return spec;
  }
}

function works(program: string, ...args: string[]): boolean {
  try {
    execFileSync(program, args, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

function hasSysResource(): boolean {
  const status = readFileSync('/proc/self/status', 'utf8');
  const effective = BigInt(`0x${/CapEff:\s*([0-9a-f]+)/.exec(status)?.[1] ?? '0'}`);
  return (effective & (1n << 24n)) !== 0n;
}
