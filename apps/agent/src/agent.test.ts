import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { servicePath } from '@rancher/domain';
import { isAlive, readStat } from '@rancher/runtimes';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeServer } from './testing/fake-server.ts';
import { TestHost, testSlice, testSpec } from './testing/test-host.ts';

let server: FakeServer;
let host: TestHost;
beforeEach(async () => {
  server = new FakeServer('host_a');
  await server.listen();
  host = new TestHost(server);
});
afterEach(async () => {
  await host.dispose();
  await server.close();
});

const web = { web: testSpec('web') };
const of = (id: string) => [{ id, service: 'web' }];
/** Waits for a condition of what the server was told. */
const until = (condition: () => unknown) =>
  expect.poll(condition, { timeout: 20_000, interval: 5 }).toBeTruthy();
const runs = (id: string) => () => {
  const instance = server.inventory?.instances.find((i) => i.id === id);
  return instance?.state === 'running' && instance.health === 'healthy';
};
const now = () => server.instance('web')!;

describe('joining', () => {
  it('gives the token and the facts, keeps the credential to itself, and says hello first', async () => {
    await host.start();
    await until(() => server.messages.length > 0);
    expect(server.joins[0]).toMatchObject({ token: 'token-of-a-test', name: 'test' });
    expect(server.joins[0]?.facts).toMatchObject({ address: '127.0.0.1', cgroupRoot: host.cgroup });
    expect(server.messages[0]).toMatchObject({ type: 'hello', inventory: { generation: 0, instances: [] } });
    expect(JSON.parse(host.read('/var/lib/rancher-agent/credential'))).toMatchObject({ hostId: 'host_a' });
    expect(host.log).not.toContain('credential-host_a');
    expect(host.log).not.toContain('token-of-a-test');
  });

  it('is done once: the credential serves after a restart', async () => {
    await host.start();
    await until(() => server.messages.length > 0);
    await host.kill();
    await host.start();
    await until(() => server.messages.filter((m) => m.type === 'hello').length === 2);
    expect(server.joins).toHaveLength(1);
  });

  it('is not done with a server of another certificate', async () => {
    const impostor = new FakeServer('host_a');
    await impostor.listen();
    const victim = new TestHost(impostor, { caSha256: server.caSha256 });
    await victim.start();
    await until(() => victim.log.includes('is not the server of this host'));
    expect(impostor.joins).toEqual([]);
    await victim.dispose();
    await impostor.close();
  });
});

describe('a slice', () => {
  beforeEach(async () => {
    await host.start();
  });

  it('is made to be: files, process, health; and told', async () => {
    server.push(testSlice('host_a', 1, web, of('ins_1')));
    await until(runs('ins_1'));
    expect(server.inventory?.generation).toBe(1);
    expect(host.read(servicePath('web', 'config'))).toBe('of web\n');
    expect(host.read(servicePath('web', 'log/web.log'))).toBe('web starts\n');
    expect(readFileSync(`/proc/${now().pid}/cgroup`, 'utf8')).toContain(`${host.cgroup}/web`);
  });

  it('starts in order: each after those that it needs are healthy', async () => {
    const base = testSpec('base', { probe: { ...web.web.probe, exec: { command: ['/bin/false'] } } });
    const specs = { web: web.web, base };
    const instances = [
      { id: 'ins_w', service: 'web', after: ['ins_b'] },
      { id: 'ins_b', service: 'base' },
    ];
    server.push(testSlice('host_a', 1, specs, instances));
    await until(() => server.instance('base')?.state === 'running');
    expect(now().state).toBe('pending');
    const mended = { ...specs, base2: testSpec('base') };
    server.push(
      testSlice('host_a', 2, mended, [
        { id: 'ins_w', service: 'web', after: ['ins_b2'] },
        { id: 'ins_b2', service: 'base2' },
      ]),
    );
    await until(runs('ins_w'));
    expect(Date.parse(now().startedAt!)).toBeGreaterThanOrEqual(
      Date.parse(server.instance('base2')!.healthyAt!),
    );
  });

  it('that is older than one seen is refused', async () => {
    server.push(testSlice('host_a', 5, web, of('ins_5')));
    await until(runs('ins_5'));
    server.push(testSlice('host_a', 4, web, of('ins_4')));
    await until(() => server.messages.some((m) => m.type === 'refused'));
    expect(server.messages.find((m) => m.type === 'refused')).toMatchObject({ generation: 4, seen: 5 });
    expect(now().id).toBe('ins_5');
  });

  it('of another host is not applied', async () => {
    server.push(testSlice('host_b', 1, web, of('ins_1')));
    await until(() => host.log.includes('a slice of another host'));
    expect(server.inventory?.instances).toEqual([]);
  });

  it('stops what it does not have any more, and replaces one by another only when the first is gone', async () => {
    server.push(testSlice('host_a', 1, web, of('ins_1')));
    await until(runs('ins_1'));
    const first = readStat(now().pid!)!;
    server.push(testSlice('host_a', 2, web, of('ins_2')));
    await until(runs('ins_2'));
    expect(isAlive(first)).toBe(false);
    server.push(testSlice('host_a', 3, {}, []));
    await until(() => server.inventory?.generation === 3 && server.inventory.instances.length === 0);
  });

  it('that has a service no more ends what that left running, as nobody takes it over', async () => {
    const script = 'setsid sleep 100000 & echo $!; exec sleep 100000';
    const leaver = { leaver: testSpec('leaver', { command: ['/bin/sh', '-c', script], cgroups: ['pods'] }) };
    const as = (id: string) => [{ id, service: 'leaver' }];
    const left = (n: number) =>
      readStat(Number(host.read(servicePath('leaver', 'log/leaver.log')).split('\n')[n]))!;
    server.push(testSlice('host_a', 1, leaver, as('ins_1')));
    await until(runs('ins_1'));
    server.push(testSlice('host_a', 2, leaver, as('ins_2')));
    await until(runs('ins_2'));
    const all = [left(0), left(1)];
    expect(all.map(isAlive)).toEqual([true, true]);
    server.push(testSlice('host_a', 3, {}, []));
    await until(() => server.inventory?.generation === 3 && server.inventory.instances.length === 0);
    expect(all.map(isAlive)).toEqual([false, false]);
  });

  it('may name the earliest start', async () => {
    const notBefore = Date.now() + 700;
    server.push(testSlice('host_a', 1, web, [{ id: 'ins_1', service: 'web', notBefore }]));
    await until(runs('ins_1'));
    expect(Date.parse(now().startedAt!)).toBeGreaterThanOrEqual(notBefore);
  });

  it('that says the host is removed ends everything, for good', async () => {
    server.push(testSlice('host_a', 1, web, of('ins_1')));
    await until(runs('ins_1'));
    const process = readStat(now().pid!)!;
    server.push(testSlice('host_a', 2, {}, [], { removed: true }));
    await until(() => !existsSync(host.path('/var/lib/rancher-agent/credential')));
    expect(isAlive(process)).toBe(false);
    await host.kill();
    await host.start();
    await until(() => host.log.includes('was removed from its server'));
  });
});

describe('what fails', () => {
  beforeEach(async () => {
    await host.start();
    server.push(testSlice('host_a', 1, web, of('ins_1')));
    await until(runs('ins_1'));
  });

  it('is told at once, with the end of its log', async () => {
    process.kill(now().pid!, 'SIGKILL');
    await until(() => now().state === 'exited');
    expect(now()).toMatchObject({
      health: 'unhealthy',
      exit: { code: null, signal: 'SIGKILL' },
      message: 'its process was ended by SIGKILL',
      logTail: ['web starts'],
    });
  });

  it('is restarted by the agent when the server does not replace it', async () => {
    process.kill(now().pid!, 'SIGKILL');
    await until(() => now().restarts === 1 && runs('ins_1')());
    expect(now().message).toContain('the server did not replace it in 5 s');
  });

  it('is restarted at once while there is no server, and is left alone when one is back', async () => {
    const port = server.port;
    await server.close();
    process.kill(now().pid!, 'SIGKILL');
    await until(() => host.log.split('"msg":"running"').length === 3);
    await server.listen(port);
    await until(() => server.messages.filter((m) => m.type === 'hello').length === 2);
    expect(now()).toMatchObject({ id: 'ins_1', state: 'running', restarts: 1 });
    expect(now().message).toContain('restarted by the agent, as no server answers');
    const pid = now().pid;
    server.push(testSlice('host_a', 2, web, of('ins_1')));
    await until(() => server.inventory?.generation === 2);
    expect(now().pid).toBe(pid);
  });

  it('as a file that vanishes is named', async () => {
    const config = servicePath('web', 'config');
    rmSync(host.path(config));
    await until(() => now().health === 'unhealthy');
    expect(now().message).toBe(`${config} is missing`);
    server.push(testSlice('host_a', 2, web, of('ins_2')));
    await until(runs('ins_2'));
    expect(host.read(config)).toBe('of web\n');
  });
});

describe('without a server', () => {
  it('what is unhealthy is mended by the agent', async () => {
    await host.start();
    server.push(testSlice('host_a', 1, web, of('ins_1')));
    await until(runs('ins_1'));
    const { pid } = now();
    const port = server.port;
    await server.close();
    const config = servicePath('web', 'config');
    rmSync(host.path(config));
    await until(() => existsSync(host.path(config)));
    await server.listen(port);
    await until(() => now().restarts === 1 && runs('ins_1')());
    expect(now().pid).not.toBe(pid);
    expect(now().message).toContain(`before: ${config} is missing`);
  });
});

describe('a full disk', () => {
  it('is named, harms nothing that runs, and is got over', async () => {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=512k', 'tmpfs', host.path('/var/lib')]);
    try {
      await host.start();
      server.push(testSlice('host_a', 1, web, of('ins_1')));
      await until(runs('ins_1'));
      const { pid } = now();
      const large = { path: '/var/lib/large', mode: 0o600, content: 'x'.repeat(1024 ** 2) };
      const specs = { ...web, large: testSpec('large', { files: [large] }) };
      server.push(testSlice('host_a', 2, specs, [...of('ins_1'), { id: 'ins_l', service: 'large' }]));
      await until(() => server.instance('large')?.message?.includes('the disk is full'));
      expect(server.instance('large')).toMatchObject({ state: 'pending' });
      expect(existsSync(host.path('/var/lib/large'))).toBe(false);
      expect(now()).toMatchObject({ pid, health: 'healthy' });
      execFileSync('mount', ['-o', 'remount,size=8m', host.path('/var/lib')]);
      await until(runs('ins_l'));
      expect(server.instance('large')?.message).toBeUndefined();
    } finally {
      await host.kill();
      execFileSync('umount', ['--lazy', host.path('/var/lib')]);
    }
  });
});

describe('the agent itself', () => {
  it('may be killed: what ran is adopted, with its health and its history', async () => {
    await host.start();
    server.push(testSlice('host_a', 1, web, of('ins_1')));
    await until(runs('ins_1'));
    const { pid, startedAt, healthyAt } = now();
    await host.kill();
    await host.start();
    await until(() => server.messages.filter((m) => m.type === 'hello').length === 2);
    expect(now()).toMatchObject({ pid, startedAt, healthyAt, health: 'healthy', restarts: 0 });
    process.kill(pid!, 'SIGKILL');
    await until(() => now().state === 'exited');
  });

  it('says what ended while it was away', async () => {
    await host.start();
    server.push(testSlice('host_a', 1, web, of('ins_1')));
    await until(runs('ins_1'));
    await host.kill();
    process.kill(now().pid!, 'SIGKILL');
    server.slice = undefined;
    await host.start();
    await until(() => now().state === 'exited');
    expect(now().message).toBe('its process ended while the agent was away');
  });

  /** Its host loses power: nothing of what runs, and nothing below /run, stays. */
  async function powerOff(): Promise<void> {
    await until(() => existsSync(host.path('/var/lib/rancher-agent/slice.json')));
    await host.kill();
    for (const { pid } of server.inventory!.instances) process.kill(pid!, 'SIGKILL');
    rmSync(host.path('/run/rancher-agent'), { recursive: true });
  }

  it('starts nothing that has moved away while its host was off', async () => {
    await host.start();
    const both = { ...web, moved: testSpec('moved') };
    server.push(testSlice('host_a', 1, both, [...of('ins_1'), { id: 'ins_m', service: 'moved' }]));
    await until(() => runs('ins_1')() && runs('ins_m')());
    await powerOff();
    server.slice = testSlice('host_a', 2, web, of('ins_1'));
    await host.start();
    await until(() => server.inventory?.generation === 2 && runs('ins_1')());
    expect(now()).toMatchObject({ restarts: 1, message: 'started again with its host' });
    expect(host.log).toContain('the server has said what is to run');
    expect(host.read(servicePath('moved', 'log/moved.log'))).toBe('moved starts\n');
    expect(host.read(servicePath('web', 'log/web.log'))).toBe('web starts\nweb starts\n');
  });

  it('starts the last slice without a server, when the host was off', async () => {
    await host.start();
    server.push(testSlice('host_a', 1, web, of('ins_1')));
    await until(runs('ins_1'));
    await powerOff();
    const port = server.port;
    await server.close();
    await host.start();
    await until(() => host.log.split('"msg":"healthy"').length === 3);
    await server.listen(port);
    await until(() => server.messages.filter((m) => m.type === 'hello').length === 2);
    expect(now()).toMatchObject({ state: 'running', restarts: 1, message: 'started again with its host' });
  });
});

describe('a log', () => {
  it('is read from its end, of services of this host alone', async () => {
    await host.start();
    server.push(testSlice('host_a', 1, web, of('ins_1')));
    await until(runs('ins_1'));
    expect(await server.ask({ method: 'logTail', service: 'web', lines: 5 })).toEqual({
      lines: ['web starts'],
    });
    const elsewhere = server.ask({ method: 'logTail', service: '../../etc/passwd', lines: 5 });
    await expect(elsewhere).rejects.toThrow('no service');
  });
});

describe('streams', () => {
  it('join the server to a port of the host, from the first byte on, and to no other', async () => {
    const etcd = createServer((socket) => socket.once('data', (data) => socket.end(`echo ${data}`)));
    etcd.listen(2379, '127.0.0.1');
    await once(etcd, 'listening');
    try {
      await host.start();
      await until(() => server.inventory);
      const answer = new Promise((resolve) => {
        server.onStream = (socket) => {
          socket.send('hello');
          socket.on('message', (data) => resolve(String(data)));
        };
      });
      await server.ask({ method: 'openStream', streamId: 's1', target: 'etcd' });
      expect(await answer).toBe('echo hello');
      const elsewhere = { method: 'openStream', streamId: 's2', target: 'toString' as 'etcd' } as const;
      await expect(server.ask(elsewhere)).rejects.toThrow('no stream goes to toString');
    } finally {
      etcd.close();
    }
  });
});
