import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Slice } from '@rancher/contracts';
import { type HostPower, probeDefaults, servicePath } from '@rancher/domain';
import { cgroupExists, cgroupProcsFiles, isAlive, type ProcessIdentity, readStat } from '@rancher/runtimes';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeServer } from '../testing/fake-server.ts';
import { testSlice, testSpec } from '../testing/test-host.ts';
import { ensureBridge } from './bridge.ts';
import { bridgeName, installationCgroup, installationId, nftTable } from './names.ts';
import { powerOff } from './power-off.ts';
import { purgeInstallation } from './purge.ts';
import type { LocalHostRecord } from './records.ts';

const main = join(import.meta.dirname, '../main.ts');
const until = (condition: () => unknown) =>
  expect.poll(condition, { timeout: 30_000, interval: 10 }).toBeTruthy();

/** An installation of its own, with a machine's agent as a process, and the server it talks to. */
class Installation {
  readonly home = mkdtempSync(join(tmpdir(), 'rancher-home-'));
  readonly server = new FakeServer('host_machine', 'host_a', 'host_b');
  agent: ChildProcess | undefined;
  log = '';

  async open(): Promise<void> {
    await ensureBridge(this.home);
    await this.server.listen(0, '0.0.0.0');
    const config = {
      name: 'machine',
      serverUrl: this.server.url,
      caSha256: this.server.caSha256,
      token: 'token-of-the-machine',
      stateDir: join(this.home, 'agent'),
      runDir: join(this.home, 'agent/run'),
      localHosts: { home: this.home },
    };
    writeFileSync(join(this.home, 'config.json'), JSON.stringify(config));
    await this.startAgent();
    await until(() => this.server.messages.some((m) => m.type === 'hello'));
  }

  async startAgent(): Promise<void> {
    const command = [main, 'run', '--config', join(this.home, 'config.json')];
    this.agent = spawn(process.execPath, command, { stdio: ['ignore', 'ignore', 'pipe'] });
    this.agent.stderr?.on('data', (chunk) => {
      this.log += chunk;
    });
    await once(this.agent, 'spawn');
  }

  async stopAgent(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (this.agent === undefined || this.agent.exitCode !== null || this.agent.signalCode !== null) return;
    const exited = once(this.agent, 'exit');
    this.agent.kill(signal);
    await exited;
  }

  /** What the machine's agent says of a local host. */
  stateOf(hostId: string): string | undefined {
    const message = this.server.messages.findLast(
      (m) => (m.type === 'hello' || m.type === 'inventory') && (m.localHosts.length > 0 || !('facts' in m)),
    );
    const hosts = message !== undefined && 'localHosts' in message ? message.localHosts : [];
    return hosts.find((h) => h.hostId === hostId)?.state;
  }

  /** The first process of a local host, from the record. */
  init(hostId: string): ProcessIdentity {
    return this.record(hostId).init!;
  }

  record(hostId: string): LocalHostRecord {
    const records = JSON.parse(readFileSync(join(this.home, 'local-hosts.json'), 'utf8'));
    return records.find((r: { hostId: string }) => r.hostId === hostId);
  }

  want(...names: string[]): Slice {
    return this.wantPowered(Object.fromEntries(names.map((name) => [name, 'on'])));
  }

  wantPowered(powers: Record<string, HostPower>, networks: Record<string, string> = {}): Slice {
    const localHosts = Object.entries(powers).map(([name, power]) => ({
      hostId: `host_${name}`,
      name,
      environmentId: 'env_test',
      network: networks[name] ?? 'default',
      power,
    }));
    const slice = testSlice('host_machine', 0, {}, [], { environmentId: null, localHosts });
    this.server.push(slice);
    return slice;
  }

  /** All traces of it that the machine still has. */
  traces(): string[] {
    const id = installationId(this.home);
    const lines = (text: string) => text.split('\n').filter((line) => line.includes(id));
    const list = (file: string, ...args: string[]) => lines(execFileSync(file, args, { encoding: 'utf8' }));
    return [
      ...list('ip', 'netns', 'list'),
      ...list('ip', '-brief', 'link'),
      ...list('nft', 'list', 'tables'),
      ...(cgroupExists(installationCgroup(this.home)) ? ['cgroup'] : []),
      ...lines(readFileSync('/proc/self/mountinfo', 'utf8')),
      ...(existsSync(this.home) ? readdirSync(this.home).filter((file) => file !== 'config.json') : []),
    ];
  }

  async dispose(): Promise<void> {
    await this.stopAgent('SIGKILL');
    await purgeInstallation(this.home);
    await this.server.close();
    rmSync(this.home, { recursive: true });
  }
}

let installation: Installation;
beforeEach(async () => {
  installation = new Installation();
  await installation.open();
});
afterEach(() => installation.dispose());

/** A web server on the host, on all its addresses. */
const script = `require('http').createServer((q, r) => r.end(require('os').hostname())).listen(8081)`;
const web = testSpec('web', {
  command: ['/run/rancher/node', '-e', script],
  probe: { httpGet: { scheme: 'http', host: '127.0.0.1', port: 8081, path: '/' }, ...probeDefaults },
});
const webOf = (host: string, generation: number, id: string) =>
  testSlice(`host_${host}`, generation, { web }, [{ id, service: 'web' }]);
/** What `nsenter` takes for a host's own view: its files, its network. */
const viewOf = (init: ProcessIdentity) => [
  '--target',
  String(init.pid),
  '--net',
  '--mount',
  '--uts',
  '--ipc',
];
/** Runs a command there. */
const inside = (init: ProcessIdentity, ...command: string[]) =>
  execFileSync('nsenter', [...viewOf(init), ...command], {
    encoding: 'utf8',
  }).trim();

describe('a local host', () => {
  it('is made with its own network, files and name, and runs what it is told', async () => {
    const { server, home } = installation;
    installation.want('a');
    await until(() => server.joins.length === 2);
    expect(server.joins[1]).toMatchObject({
      token: 'token-of-a-local-host',
      name: 'a',
      facts: { hostname: 'a' },
    });
    const { address, cgroupRoot } = server.joins[1]!.facts;
    expect(cgroupRoot).toBe(`${installationCgroup(home)}/a`);
    await until(() => server.messages.filter((m) => m.type === 'hello').length === 2);
    server.push(webOf('a', 1, 'ins_1'));
    await until(() => server.instance('web')?.health === 'healthy');

    expect(await (await fetch(`http://${address}:8081/`)).text()).toBe('a');
    const init = installation.init('host_a');
    expect(inside(init, 'cat', '/etc/hostname')).toBe('a');
    expect(inside(init, 'getent', 'hosts', 'a')).toContain(address);
    expect(inside(init, 'cat', servicePath('web', 'config'))).toBe('of web');
    expect(existsSync(join(home, 'hosts/a', servicePath('web', 'config')))).toBe(true);
    // As kubelet needs it; and nothing of it is seen outside.
    expect(inside(init, 'findmnt', '-no', 'PROPAGATION', '/var/lib')).toBe('shared');
    expect(inside(init, 'cat', '/proc/self/mountinfo')).not.toContain('/run/netns/');
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(home);
    // The pid that is told is one of the machine.
    expect(readFileSync(`/proc/${server.instance('web')?.pid}/cgroup`, 'utf8')).toContain(
      `${cgroupRoot}/web`,
    );
  });

  it('reaches others on the bridge, and goes out by the machine', async () => {
    installation.want('a', 'b');
    await until(
      () => installation.stateOf('host_a') === 'running' && installation.stateOf('host_b') === 'running',
    );
    const records = JSON.parse(readFileSync(join(installation.home, 'local-hosts.json'), 'utf8'));
    const addresses = records.map((r: { address: string }) => r.address);
    expect(new Set(addresses).size).toBe(2);
    await until(() => installation.server.joins.length === 3);
    const init = installation.init('host_a');
    for (const address of addresses) expect(reaches(init, address)).toBe(true);
    const route = inside(init, 'ip', '-4', 'route', 'show', 'default');
    expect(route).toContain(`via ${(await ensureBridge(installation.home)).address}`);
  });

  it('goes on while the machine’s agent is killed, and is taken up by the next', async () => {
    installation.want('a');
    await until(() => installation.stateOf('host_a') === 'running');
    const init = installation.init('host_a');
    await installation.stopAgent('SIGKILL');
    const helloes = () =>
      installation.server.messages.filter((m) => m.type === 'hello' && m.facts.localHosts).length;
    await installation.startAgent();
    await until(() => helloes() === 2);
    expect(installation.stateOf('host_a')).toBe('running');
    expect(installation.init('host_a')).toEqual(init);
    expect(isAlive(init)).toBe(true);
  });

  it('keeps its agent running', async () => {
    const { server } = installation;
    installation.want('a');
    await until(() => server.joins.length === 2);
    const hostHelloes = () =>
      server.messages.flatMap((m) => (m.type === 'hello' && !m.facts.localHosts ? [m.facts] : []));
    await until(() => hostHelloes().length === 1);
    process.kill(hostHelloes()[0]!.agentPid, 'SIGKILL');
    await until(() => hostHelloes().length === 2);
    expect(server.joins).toHaveLength(2);
  });

  it('is made anew with its data when its first process dies', async () => {
    const { server } = installation;
    installation.want('a');
    await until(() => server.joins.length === 2);
    await until(() => installation.stateOf('host_a') === 'running');
    const first = installation.init('host_a');
    inside(first, 'sh', '-c', 'echo kept >/var/lib/data; echo gone >/run/data');
    // Longer than a life that counts as failed at once is not waited for: it is only tried again a little later.
    process.kill(first.pid, 'SIGKILL');
    await until(
      () => installation.init('host_a')?.pid !== undefined && installation.init('host_a').pid !== first.pid,
    );
    await until(() => installation.stateOf('host_a') === 'running');
    const second = installation.init('host_a');
    await until(() => inside(second, 'ls', '/run').includes('rancher-agent'));
    expect(inside(second, 'cat', '/var/lib/data')).toBe('kept');
    expect(inside(second, 'ls', '/run')).not.toContain('data');
    expect(server.joins).toHaveLength(2);
  });

  it('that is wanted no more is removed wholly, and others are left alone', async () => {
    installation.want('a', 'b');
    await until(
      () => installation.stateOf('host_a') === 'running' && installation.stateOf('host_b') === 'running',
    );
    const [a, b] = [installation.init('host_a'), installation.init('host_b')];
    const stubborn = Number(
      inside(a, 'sh', '-c', 'trap "" TERM; setsid sleep 1000 >/dev/null 2>&1 & echo $!'),
    );
    const [procs] = cgroupProcsFiles(`${installationCgroup(installation.home)}/a/agent`);
    writeFileSync(procs!, String(stubborn));
    const identity = readStat(stubborn)!;
    installation.want('b');
    await until(() => installation.stateOf('host_a') === undefined);
    expect(isAlive(a)).toBe(false);
    expect(isAlive(identity)).toBe(false);
    expect(isAlive(b)).toBe(true);
    expect(existsSync(join(installation.home, 'hosts/a'))).toBe(false);
    expect(cgroupExists(`${installationCgroup(installation.home)}/a`)).toBe(false);
  });

  it('that is switched off is cut off at once, stays off, and comes back with its disk', async () => {
    const { server, home } = installation;
    installation.want('a', 'b');
    await until(() => server.messages.filter((m) => m.type === 'hello').length === 3);
    const [a, b] = [installation.init('host_a'), installation.init('host_b')];
    inside(a, 'sh', '-c', 'echo kept >/var/lib/data; echo gone >/run/data');
    const [procs] = cgroupProcsFiles(`${installationCgroup(home)}/a/agent`);
    const pod = Number(inside(a, 'sh', '-c', 'trap "" TERM; setsid sleep 1000 >/dev/null 2>&1 & echo $!'));
    writeFileSync(procs!, String(pod));
    const identity = readStat(pod)!;

    installation.wantPowered({ a: 'off', b: 'on' });
    await until(() => installation.stateOf('host_a') === 'off');
    expect([isAlive(a), isAlive(identity), isAlive(b)]).toEqual([false, false, true]);
    expect(cgroupExists(`${installationCgroup(home)}/a`)).toBe(false);

    // The machine's agent, killed and started again without a word of the server, leaves it off.
    await installation.stopAgent('SIGKILL');
    server.slice = undefined;
    server.messages.length = 0;
    await installation.startAgent();
    await until(() => installation.stateOf('host_a') === 'off');
    expect(installation.init('host_a')).toBeUndefined();

    installation.want('a', 'b');
    await until(() => installation.stateOf('host_a') === 'running');
    const second = installation.init('host_a');
    await until(() => inside(second, 'ls', '/run').includes('rancher-agent'));
    expect(inside(second, 'cat', '/var/lib/data')).toBe('kept');
    expect(inside(second, 'ls', '/run')).not.toContain('data');
    expect(server.joins).toHaveLength(3);
    expect(installation.init('host_b')).toEqual(b);
  });

  it('is plugged in again when others take its bridge away', async () => {
    installation.want('a');
    await until(() => installation.stateOf('host_a') === 'running');
    execFileSync('ip', ['link', 'delete', bridgeName(installation.home)]);
    // Even when somebody else has made the bridge again.
    const { address } = await ensureBridge(installation.home);
    await until(() => reaches(installation.init('host_a'), address));
  });

  it('is on a network of its own where it is told so, and reaches the others through the machine', async () => {
    installation.wantPowered({ a: 'on', b: 'on' }, { b: 'other' });
    await until(
      () => installation.stateOf('host_a') === 'running' && installation.stateOf('host_b') === 'running',
    );
    const address = (hostId: string) => installation.record(hostId).address;
    const subnet = (hostId: string) => address(hostId).replace(/\.\d+$/, '');
    expect(subnet('host_b')).not.toBe(subnet('host_a'));
    await until(() => reaches(installation.init('host_b'), address('host_a')));
    await until(() => reaches(installation.init('host_a'), address('host_b')));
    expect(inside(installation.init('host_b'), 'ip', 'route', 'show', 'default')).toContain(
      `${subnet('host_b')}.1`,
    );

    // Hosts keep their addresses between networks, whatever a killed installation of the same subnet has left behind.
    const killed = mkdtempSync(join(tmpdir(), 'rancher-home-'));
    const { link } = await ensureBridge(killed, { subnet: `${subnet('host_b')}.0/24` });
    execFileSync('ip', ['link', 'delete', link]);
    try {
      expect(
        await seenFrom(installation.init('host_a'), installation.init('host_b'), address('host_a')),
      ).toBe(address('host_b'));
    } finally {
      await purgeInstallation(killed);
      rmSync(killed, { recursive: true });
    }

    // A network is mended like the first.
    execFileSync('ip', ['link', 'delete', bridgeName(installation.home, 1)]);
    await until(() => reaches(installation.init('host_b'), address('host_a')));

    // It joined at the first network's address.
    await until(() => installation.server.joins.some((join) => join.name === 'b'));
    await installation.stopAgent();
    await purgeInstallation(installation.home);
    expect(installation.traces()).toEqual([]);
  });
});

/** Whether somebody at that address answers a host, be it by a refusal. */
function reaches(init: ProcessIdentity, address: string): boolean {
  const script = `
    const socket = require('net').connect(1, '${address}');
    socket.setTimeout(1000, () => process.exit());
    socket.on('error', (error) => process.exit(console.log(error.code)));`;
  return inside(init, '/run/rancher/node', '-e', script) === 'ECONNREFUSED';
}

/** The address that a server on one host sees, when another connects to it. */
async function seenFrom(server: ProcessIdentity, client: ProcessIdentity, address: string): Promise<string> {
  const script = `
    const server = require('net').createServer((socket) => socket.end(socket.remoteAddress));
    server.listen(8082, '0.0.0.0', () => console.log('listening'));`;
  const listener = spawn('nsenter', [...viewOf(server), '/run/rancher/node', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    await once(listener.stdout, 'data');
    const ask = `require('net').connect(8082, '${address}').pipe(process.stdout)`;
    return inside(client, '/run/rancher/node', '-e', ask);
  } finally {
    listener.kill();
  }
}

describe('an installation', () => {
  it('is powered off and comes back the same, with its network and its data', async () => {
    const { server, home } = installation;
    installation.want('a');
    await until(() => server.messages.filter((m) => m.type === 'hello').length === 2);
    server.push(webOf('a', 1, 'ins_1'));
    await until(() => server.instance('web')?.health === 'healthy');
    await until(() => existsSync(join(home, 'hosts/a/var/lib/rancher-agent/slice.json')));
    const before = readStat(server.instance('web')!.pid!)!;
    const init = installation.init('host_a');

    await installation.stopAgent();
    await powerOff(home);
    expect(isAlive(before)).toBe(false);
    expect(isAlive(init)).toBe(false);
    const left = installation.traces();
    expect(
      left.filter((trace) => !['agent', 'hosts', 'local-hosts.json', 'network.json'].includes(trace)),
    ).toEqual([]);

    await powerOff(home);
    server.slice = undefined;
    await ensureBridge(home);
    await installation.startAgent();
    await until(() => {
      const instance = server.instance('web');
      return instance?.health === 'healthy' && instance.pid !== before.pid;
    });
    expect(server.instance('web')).toMatchObject({ id: 'ins_1', restarts: 1 });
    expect(server.joins).toHaveLength(2);
  });

  it('lives beside another', async () => {
    const other = new Installation();
    await other.open();
    try {
      installation.want('a');
      other.want('a');
      await until(
        () => installation.stateOf('host_a') === 'running' && other.stateOf('host_a') === 'running',
      );
      expect(nftTable(other.home)).not.toBe(nftTable(installation.home));
      const ours = installation.init('host_a');
      await other.stopAgent();
      await purgeInstallation(other.home);
      expect(other.traces()).toEqual([]);
      expect(isAlive(ours)).toBe(true);
      expect((await ensureBridge(installation.home)).link).toBe(bridgeName(installation.home));
    } finally {
      await other.dispose();
    }
  });

  it('is purged without a trace, even when its records are gone', async () => {
    installation.want('a');
    await until(() => installation.stateOf('host_a') === 'running');
    const init = installation.init('host_a');
    await installation.stopAgent('SIGKILL');
    rmSync(join(installation.home, 'local-hosts.json'));
    await purgeInstallation(installation.home);
    expect(isAlive(init)).toBe(false);
    expect(installation.traces()).toEqual([]);
    await purgeInstallation(installation.home);
  });
});
