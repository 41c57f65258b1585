import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inside, Lab, type LabHost, programs } from '../testing/lab.ts';
import { routeChanges } from './kernel.ts';

describe('changes of routes', () => {
  const wanted = new Map([
    ['10.42.0.0/16', 'unreachable'],
    ['10.42.1.0/24', 'via 172.30.0.3 dev eth0'],
  ]);

  it('are none where all is as it must be', () => {
    expect(routeChanges(wanted, new Map(wanted))).toEqual([]);
  });

  it('are those that differ, and no others', () => {
    const current = new Map([
      ['10.42.0.0/16', 'unreachable'],
      ['10.42.1.0/24', 'via 172.30.0.9 dev eth0'],
      ['10.42.2.0/24', 'via 172.30.0.4 dev eth0'],
      ['10.44.0.0/16', 'unreachable'],
    ]);
    expect(routeChanges(wanted, current)).toEqual([
      'route del 10.42.2.0/24 proto 114',
      'route del unreachable 10.44.0.0/16 proto 114',
      'route replace 10.42.1.0/24 via 172.30.0.3 dev eth0 proto 114',
    ]);
  });
});

describe('three hosts in two subnets', () => {
  const nodes = [
    { name: 'a', address: '192.168.0.2', podCidr: '10.42.0.0/24' },
    { name: 'b', address: '192.168.0.3', podCidr: '10.42.1.0/24' },
    { name: 'c', address: '192.168.1.2', podCidr: '10.42.2.0/24' },
  ];
  let lab: Lab;
  let hosts: LabHost[];

  beforeAll(async () => {
    lab = new Lab(await programs());
    const router = await lab.router(2);
    hosts = [];
    for (const node of nodes) hosts.push(await lab.host(node, router));
    await Promise.all(hosts.map((host) => host.start(nodes)));
  });
  afterAll(() => lab?.close());

  const ready = (host: LabHost) =>
    expect.poll(async () => (await host.call('STATUS')).code, { timeout: 20_000 }).toBe(0);

  it('carry a payload of 1,400 bytes between all their pods unbroken', async () => {
    await Promise.all(hosts.map(ready));
    const pods = await Promise.all(hosts.map((host) => host.pod('pod')));
    for (const from of pods) {
      for (const to of pods)
        await inside(from.namespace, ['ping', '-M', 'do', '-s', '1400', '-c1', '-W5', to.address]);
    }
    // Nobody has this address: said at once, not left to a timeout.
    await expect(inside(pods[0]!.namespace, ['ping', '-c1', '-W5', '10.42.99.9'])).rejects.toThrow();
  });

  it('keep what is right when the daemon starts anew, and lose what leads to a host that is gone', async () => {
    const [a] = hosts as [LabHost, LabHost, LabHost];
    await a.stop('SIGKILL');
    await inside(a.namespace, ['ip', 'route', 'add', '10.42.9.0/24', 'via', '192.168.0.9', 'proto', '114']);
    await a.start(nodes);
    await ready(a);
    expect(a.log).toContain('route del 10.42.9.0/24');
    expect(a.log).not.toContain('route replace');

    await a.stop();
    await a.start([nodes[0]!, nodes[1]!]);
    await ready(a);
    const routes = await inside(a.namespace, ['ip', 'route', 'show', 'proto', '114']);
    expect(routes).toContain('10.42.1.0/24 via 192.168.0.3');
    expect(routes).not.toContain('10.42.2.0/24');
    await expect(inside(a.namespace, ['ip', 'link', 'show', 'rancher-vxlan'])).rejects.toThrow();
  });

  it('go on once the machine’s own filter forwards nothing, as with Docker', async () => {
    const [a, b] = hosts as [LabHost, LabHost, LabHost];
    await a.stop();
    await a.start(nodes);
    await Promise.all([a, b].map(ready));
    const [from, to] = [await a.pod('from'), await b.pod('to')];
    const ping = () => inside(from.namespace, ['ping', '-c1', '-W1', to.address]);
    await ping();
    await inside(b.namespace, ['iptables', '--wait', '-P', 'FORWARD', 'DROP']);
    await expect(ping()).rejects.toThrow();
    await expect.poll(ping, { timeout: 30_000 }).toContain('1 received');
  });

  it('mend routes that somebody took away', async () => {
    const [a] = hosts as [LabHost, LabHost, LabHost];
    await inside(a.namespace, ['ip', 'route', 'flush', 'proto', '114']);
    await expect
      .poll(() => inside(a.namespace, ['ip', 'route', 'show', 'proto', '114']), { timeout: 30_000 })
      .toContain('10.42.1.0/24 via 192.168.0.3');
  });
});
