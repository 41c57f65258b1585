/**
 * Hosts and pods as network namespaces, each host with a real daemon in it, the real front and the real reference
 * plugins; nothing of it touches the machine's own network.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createArtifactStore, sharedCacheDir } from '@rancher/artifacts';
import { until } from '@rancher/testing';
import type { DaemonConfig } from '../config.ts';
import type { Node } from '../routes/desired.ts';
import { must, type Output, run } from '../run.ts';

const main = join(import.meta.dirname, '../main.ts');
const podCidr = '10.42.0.0/16';

export interface Programs {
  /** Command of the plugin's front. */
  front: string[];
  plugins: string;
}

/** The front and the reference plugins, from the machine's shared cache. */
export async function programs(): Promise<Programs> {
  const store = createArtifactStore({
    cacheDir: sharedCacheDir(),
  });
  const [front, plugins] = [
    { name: 'cni-front', version: '1.0.0' },
    { name: 'cni-plugins', version: '1.9.1' },
  ];
  await store.ensureAll([front, plugins]);
  return { front: [store.filePath(front, 'rancher')], plugins: join(store.filePath(plugins, 'ptp'), '..') };
}

let made = 0;

/** A place where hosts are made; `close` removes every trace. */
export class Lab {
  readonly folder = mkdtempSync(join(tmpdir(), 'rancher-cni-'));
  readonly hosts: LabHost[] = [];
  readonly #namespaces: string[] = [];
  readonly programs: Programs;

  constructor(programs: Programs) {
    this.programs = programs;
  }

  /** A network namespace, by a name of its own. */
  async namespace(): Promise<string> {
    const name = `rancher-lab-${process.pid}-${++made}`;
    await must('ip', ['netns', 'add', name]);
    this.#namespaces.push(name);
    await must('ip', ['-n', name, 'link', 'set', 'lo', 'up']);
    return name;
  }

  async removeNamespace(name: string): Promise<void> {
    await must('ip', ['netns', 'delete', name]);
    this.#namespaces.splice(this.#namespaces.indexOf(name), 1);
  }

  /** A namespace that routes between its subnets: each a bridge with the first address of 192.168.<n>.0/24. */
  async router(subnets: number): Promise<string> {
    const router = await this.namespace();
    await inside(router, ['sh', '-c', 'echo 1 >/proc/sys/net/ipv4/ip_forward']);
    for (let n = 0; n < subnets; n++) {
      await must('ip', ['-n', router, 'link', 'add', `br${n}`, 'type', 'bridge']);
      await must('ip', ['-n', router, 'address', 'add', `192.168.${n}.1/24`, 'dev', `br${n}`]);
      await must('ip', ['-n', router, 'link', 'set', `br${n}`, 'up']);
    }
    return router;
  }

  /** A host on a subnet of a router, or on none. */
  async host(node: Node, router?: string): Promise<LabHost> {
    const namespace = await this.namespace();
    if (router !== undefined) await plug(namespace, node.address, router, this.hosts.length);
    const host = new LabHost(this, namespace, node);
    this.hosts.push(host);
    return host;
  }

  async close(): Promise<void> {
    for (const host of this.hosts) await host.stop('SIGKILL');
    for (const name of [...this.#namespaces]) await this.removeNamespace(name);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

async function plug(namespace: string, address: string, router: string, n: number): Promise<void> {
  const subnet = address.split('.')[2];
  const lines = [
    `link add h${n} netns ${router} type veth peer name eth0 netns ${namespace}`,
    `-n ${router} link set h${n} master br${subnet} up`,
  ];
  await must('ip', lines[0]!.split(' '));
  await must('ip', lines[1]!.split(' '));
  await must('ip', ['-n', namespace, 'address', 'add', `${address}/24`, 'dev', 'eth0']);
  await must('ip', ['-n', namespace, 'link', 'set', 'eth0', 'up']);
  await must('ip', ['-n', namespace, 'route', 'add', 'default', 'via', `192.168.${subnet}.1`]);
}

/** Runs a program in a namespace. */
export function inside(namespace: string, command: string[], input?: string): Promise<string> {
  return must('nsenter', [`--net=/run/netns/${namespace}`, ...command], input);
}

export class LabHost {
  readonly namespace: string;
  readonly node: Node;
  readonly folder: string;
  readonly #lab: Lab;
  #daemon: ChildProcess | undefined;
  log = '';

  constructor(lab: Lab, namespace: string, node: Node) {
    this.#lab = lab;
    this.namespace = namespace;
    this.node = node;
    this.folder = join(lab.folder, namespace);
    mkdirSync(this.folder);
  }

  get socket(): string {
    return join(this.folder, 'cni.sock');
  }

  /** Starts the daemon, which takes these Nodes for what was last known; no API server answers it. */
  async start(nodes?: readonly Node[]): Promise<void> {
    if (nodes !== undefined) writeFileSync(join(this.folder, 'nodes.json'), JSON.stringify(nodes));
    const config: DaemonConfig = {
      nodeName: this.node.name,
      address: this.node.address,
      podCidr,
      plugins: this.#lab.programs.plugins,
      kubernetes: { server: 'https://127.0.0.1:9', caPath: '', certPath: '', keyPath: '' },
      dns: { service: '10.43.0.10', local: '192.0.0.53' },
      healthPort: 10055,
      vxlanPort: 4789,
      firewall: 'nftables',
      socket: this.socket,
      stateDir: this.folder,
    };
    const file = join(this.folder, 'config.json');
    writeFileSync(file, JSON.stringify(config));
    this.log = '';
    this.#daemon = spawn(
      'nsenter',
      [`--net=/run/netns/${this.namespace}`, process.execPath, main, '--config', file],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    this.#daemon.stderr?.on('data', (data) => {
      this.log += data;
    });
    await until('the daemon is ready', () => this.log.includes('"ready"'));
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const daemon = this.#daemon;
    if (daemon === undefined || daemon.exitCode !== null || daemon.signalCode !== null) return;
    const exited = once(daemon, 'exit');
    daemon.kill(signal);
    await exited;
  }

  signal(signal: NodeJS.Signals): void {
    this.#daemon?.kill(signal);
  }

  /** Calls the plugin as a container runtime does. */
  call(
    command: string,
    variables: Record<string, string> = {},
    config: object = {},
    front = this.#lab.programs.front,
  ): Promise<Output> {
    return run('nsenter', [`--net=/run/netns/${this.namespace}`, ...front], {
      input: JSON.stringify({ cniVersion: '1.1.0', name: 'rancher', type: 'rancher', ...config }),
      env: {
        PATH: process.env.PATH,
        RANCHER_CNI_SOCKET: this.socket,
        CNI_COMMAND: command,
        CNI_PATH: '/nonexistent',
        ...variables,
      },
    });
  }

  /** A pod of this host: a namespace that is attached, with its address. */
  async pod(id: string): Promise<{ namespace: string; address: string }> {
    const namespace = await this.#lab.namespace();
    const added = await this.call('ADD', attachment(id, namespace));
    if (added.code !== 0) throw new Error(added.stdout + added.stderr);
    const { ips } = JSON.parse(added.stdout) as { ips: { address: string }[] };
    return { namespace, address: ips[0]!.address.split('/')[0]! };
  }

  /** Addresses that host-local holds as taken. */
  async reserved(): Promise<string[]> {
    const files = await run('ls', [join(this.folder, 'ipam/rancher')]);
    return files.stdout.split('\n').filter((name) => /^[\d.]+$/.test(name));
  }

  nodes(): Node[] {
    return JSON.parse(readFileSync(join(this.folder, 'nodes.json'), 'utf8')) as Node[];
  }
}

export function attachment(id: string, namespace: string): Record<string, string> {
  return { CNI_CONTAINERID: id, CNI_IFNAME: 'eth0', CNI_NETNS: `/run/netns/${namespace}` };
}
