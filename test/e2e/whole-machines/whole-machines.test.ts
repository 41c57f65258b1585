/**
 * Machines with a kernel, a clock and an init system of their own join an environment: Debian with systemd and cgroup v2,
 * Debian with OpenRC and cgroup v1, and a container of Docker on the first. Protects docs/joining.md where namespaces of
 * this machine cannot: what keeps the agent running, what a reboot leaves, and clocks that are wrong.
 */
import { join } from 'node:path';
import { hostPaths } from '@rancher/domain';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { busyboxImage, busyboxLayer, writeArchive } from '../support/images.ts';
import { until } from '../support/installation.ts';
import { createJoinable, type Joinable } from '../support/joinable.ts';
import type { TestMachine } from '../support/machines.ts';
import { startVirtualMachine, type VirtualMachine } from '../support/virtual-machines/virtual-machine.ts';

const patienceMs = 300_000;

let joinable: Joinable;
let { rancher, network, newToken, host, isReady, pidOf } = {} as Joinable;
let first: TestMachine;
let image: string;

beforeAll(async () => {
  joinable = await createJoinable('whole');
  ({ rancher, network, newToken, host, isReady, pidOf } = joinable);
  first = await network.machine('first');
  await first.must((await newToken({ labels: { etcd: 'true', orchestration: 'true' } })).command);
  await nodeReady('first');
  image = join(rancher.home, 'busybox.tar');
  const layer = await busyboxLayer(join(rancher.home, 'busybox-layer.tar'));
  await writeArchive(image, [{ names: [busyboxImage], layers: [layer], config: { Env: ['PATH=/bin'] } }]);
});

afterAll(() => joinable?.remove());

const nodeReady = (name: string) => joinable.nodeReady(name, patienceMs);
const agentPid = async (name: string) => (await host(name)).status.facts.agentPid as number;

/** Ends the agent the hard way; whatever keeps it running starts another, and what runs goes on. */
async function agentComesBack(machine: VirtualMachine, kill: (pid: number) => string): Promise<void> {
  const [agent, kubelet] = [await agentPid(machine.name), await pidOf('kubelet', machine.name)];
  await machine.must(kill(agent));
  await until(
    'another agent is connected',
    async () => (await agentPid(machine.name)) !== agent && (await host(machine.name)).status.connected,
    patienceMs,
    1000,
  );
  expect(await pidOf('kubelet', machine.name)).toBe(kubelet);
}

/** A pod with limits runs there, and serves to the first machine. */
async function runsPod(machine: VirtualMachine, containerd: (args: string) => string): Promise<void> {
  await machine.put(image, '/root/busybox.tar');
  await machine.must(`${containerd('images import -')} </root/busybox.tar`, { timeoutMs: patienceMs });
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: `web-${machine.name}` },
    spec: {
      nodeName: machine.name,
      containers: [
        {
          name: 'web',
          image: busyboxImage,
          imagePullPolicy: 'Never',
          // Ends on SIGTERM, which the first process of a container otherwise ignores: a reboot would wait for it.
          command: [
            'sh',
            '-c',
            'echo serving >/tmp/index.html; trap "exit 0" TERM; httpd -f -p 8080 -h /tmp & wait',
          ],
          resources: { limits: { memory: '64Mi', cpu: '500m' } },
        },
      ],
    },
  };
  await rancher.kubectl(['apply', '-f', '-'], { environment: 'whole', input: JSON.stringify(pod) });
  await serves(machine);
}

async function serves(machine: VirtualMachine): Promise<void> {
  await until(
    `the pod of ${machine.name} serves`,
    async () => {
      const args = ['get', 'pod', `web-${machine.name}`, '-o', 'jsonpath={.status.podIP}'];
      const address = await rancher.kubectl(args, { environment: 'whole' });
      return (await first.must(`curl -s --max-time 5 http://${address}:8080/`)).trim() === 'serving';
    },
    patienceMs,
    1000,
  );
}

const ctr = (args: string) =>
  `${hostPaths.artifacts}/containerd-2.3.7/ctr -a ${hostPaths.containerdSocket} -n k8s.io ${args}`;
const uninstall = `${hostPaths.agent}/program/node ${hostPaths.agent}/program/agent.mjs uninstall`;

/** What could be left of a host on a machine, a line each. */
async function traces(machine: VirtualMachine): Promise<string[]> {
  const output = await machine.must(`
    ls -d /var/lib/* /run/* /opt/* /etc/systemd/system/* /etc/systemd/system/*.wants/* /etc/init.d/* /etc/runlevels/*/* 2>/dev/null | grep -v agetty
    ip -brief link | cut -d ' ' -f 1; ip -4 route; ip -4 rule; nft list tables
    find /sys/fs/cgroup -maxdepth 2 -name '*rancher*' -o -maxdepth 2 -name 'kubepods*'
    ps -e -o args= | grep -E 'rancher|kube|containerd-shim' | grep -v grep || :
  `);
  return output.split('\n');
}

async function givenBack(machine: VirtualMachine, untouched: string[]): Promise<void> {
  await rancher.kubectl(['delete', 'pod', `web-${machine.name}`, '--wait=false'], { environment: 'whole' });
  expect(await machine.must(uninstall, { timeoutMs: patienceMs })).toContain('Nothing of the host is left');
  await until('the host is gone', async () => (await host(machine.name)) === undefined, patienceMs, 1000);
  expect(await traces(machine)).toEqual(untouched);
}

/** It comes back by itself: the same host, and its pod serves again. */
async function comesBackFrom(machine: VirtualMachine, interrupt: () => Promise<unknown>): Promise<void> {
  const before = await host(machine.name);
  await interrupt();
  await until(
    'the agent is connected anew',
    async () => {
      const { connected, connectedAt } = (await host(machine.name)).status;
      return connected && connectedAt > before.status.connectedAt;
    },
    patienceMs,
    1000,
  );
  expect((await host(machine.name)).id).toBe(before.id);
  await serves(machine);
}

describe('Debian with systemd and cgroup v2', () => {
  let machine: VirtualMachine;
  let untouched: string[];

  beforeAll(async () => {
    machine = await startVirtualMachine(network, 'second', 'systemd');
    await until('Docker runs', async () => (await machine.sh('docker version')).code === 0, patienceMs, 1000);
    untouched = await traces(machine);
  });
  afterAll(() => machine?.powerOff());

  test('it joins with a clock that is a minute behind, and its pod serves, beside Docker', async () => {
    await machine.must('date -s @$(($(date +%s) - 60))');
    const output = await machine.must((await newToken()).command, { timeoutMs: patienceMs });
    expect(output).toContain('the agent is kept running by systemd');
    await nodeReady('second');
    expect((await host('second')).status.facts).toMatchObject({ cgroupVersion: 2, cgroupDriver: 'systemd' });
    await runsPod(machine, ctr);
  });

  test('its clock jumps two minutes ahead: it stays Ready, and its pod is the same one', async () => {
    const args = ['get', 'pod', 'web-second', '-o', 'jsonpath={.status.containerStatuses[0].containerID}'];
    const before = await rancher.kubectl(args, { environment: 'whole' });
    await machine.must('date -s @$(($(date +%s) + 120))');
    const renewed = async () => {
      const lease = ['get', 'lease', 'second', '-n', 'kube-node-lease', '-o', 'jsonpath={.spec.renewTime}'];
      return Date.parse(await rancher.kubectl(lease, { environment: 'whole' }));
    };
    await until(
      'kubelet renews its lease by the new clock',
      async () => (await renewed()) > Date.now() + 30_000,
    );
    expect(await isReady('second')).toBe(true);
    expect(await rancher.kubectl(args, { environment: 'whole' })).toBe(before);
    await serves(machine);
    await machine.must('date -s @$(($(date +%s) - 60))');
  });

  test('an agent that is killed is started again by systemd, and what runs goes on', async () => {
    await agentComesBack(machine, (pid) => `kill -9 ${pid}`);
  });

  test('after a reboot it is the same host, by itself', async () => {
    await comesBackFrom(machine, () => machine.reboot());
  });

  test('it is given back without a trace, and Docker keeps what it has', async () => {
    await givenBack(machine, untouched);
    await machine.must('docker version');
  });

  test('a container of Docker is a host, as a machine is', async () => {
    await machine.must((await newToken({ name: 'second' })).containerCommand, { timeoutMs: patienceMs });
    await nodeReady('second');
    await runsPod(machine, (args) => `docker exec -i rancher-agent ${ctr(args)}`);
  });

  test('the agent in it is kept running, and the container started again is the same host', async () => {
    await agentComesBack(machine, (pid) => `docker exec rancher-agent kill -9 ${pid}`);
    await comesBackFrom(machine, () => machine.must('docker restart rancher-agent'));
  });

  test('so is another container with its volume, whatever has become of the token', async () => {
    const { containerCommand } = await newToken({ name: 'second' });
    await comesBackFrom(machine, () =>
      machine.must(`docker rm --force rancher-agent && ${containerCommand.replace(/rt_\w+/, 'rt_spent')}`),
    );
  });

  test('given back, nothing of it is left but the container', async () => {
    const output = await machine.must(`docker exec rancher-agent ${uninstall}`, { timeoutMs: patienceMs });
    expect(output).toContain('Nothing of the host is left');
    await until('the host is gone', async () => (await host('second')) === undefined, patienceMs, 1000);
    await machine.must('docker rm --force rancher-agent && docker volume rm rancher-agent');
    expect(await traces(machine)).toEqual(untouched);
  });
});

describe('Debian with OpenRC and cgroup v1', () => {
  let machine: VirtualMachine;
  let untouched: string[];

  beforeAll(async () => {
    machine = await startVirtualMachine(network, 'third', 'openrc');
    untouched = await traces(machine);
  });

  test('it joins, and its pod serves', async () => {
    const output = await machine.must((await newToken()).command, { timeoutMs: patienceMs });
    expect(output).toContain('the agent is kept running by OpenRC');
    await nodeReady('third');
    expect((await host('third')).status.facts).toMatchObject({ cgroupVersion: 1, cgroupDriver: 'cgroupfs' });
    await runsPod(machine, ctr);
  });

  test('an agent that is killed is started again, and what runs goes on', async () => {
    await agentComesBack(machine, (pid) => `kill -9 ${pid}`);
  });

  test('after a reboot it is the same host, by itself', async () => {
    await comesBackFrom(machine, () => machine.reboot());
  });

  test('it is given back without a trace', async () => {
    await givenBack(machine, untouched);
  });
});
