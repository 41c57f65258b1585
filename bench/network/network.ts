/**
 * Pods of different hosts against the bare link between those hosts: throughput (iperf3, one TCP stream) and latency (ICMP
 * echo), by direct route in one subnet and by VXLAN through a router. Hosts and pods are network namespaces of its own,
 * with real daemons; each sample of the pods follows one of the bare link.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { inside, Lab, type LabHost, programs } from '../../apps/cni/src/testing/lab.ts';
import { type BenchmarkReport, report } from '../report.ts';

export const runs = 5;
const seconds = 2;
const echoes = 200;

interface Place {
  namespace: string;
  address: string;
}

export async function run(count: number): Promise<BenchmarkReport[]> {
  const lab = new Lab(await programs());
  try {
    const nodes = [
      { name: 'a', address: '192.168.0.2', podCidr: '10.42.0.0/24' },
      { name: 'b', address: '192.168.0.3', podCidr: '10.42.1.0/24' },
      { name: 'c', address: '192.168.1.2', podCidr: '10.42.2.0/24' },
    ];
    const router = await lab.router(2);
    const hosts: LabHost[] = [];
    for (const node of nodes) hosts.push(await lab.host(node, router));
    await Promise.all(hosts.map((host) => host.start(nodes)));
    const [a, b, c] = hosts.map((h) => ({ namespace: h.namespace, address: h.node.address }));
    const [podA, podB, podC] = await Promise.all(hosts.map((host) => host.pod('pod')));
    return [
      ...(await compare('direct route', { bare: [a!, b!], pods: [podA!, podB!] }, count)),
      ...(await compare('VXLAN', { bare: [a!, c!], pods: [podA!, podC!] }, count)),
    ];
  } finally {
    await lab.close();
  }
}

interface Pairs {
  bare: [Place, Place];
  pods: [Place, Place];
}

async function compare(way: string, pairs: Pairs, count: number): Promise<BenchmarkReport[]> {
  const gigabits: Record<keyof Pairs, number[]> = { bare: [], pods: [] };
  const microseconds: Record<keyof Pairs, number[]> = { bare: [], pods: [] };
  for (let i = 0; i < count; i++) {
    for (const kind of ['bare', 'pods'] as const) {
      gigabits[kind].push(await throughput(...pairs[kind]));
      microseconds[kind].push(await latency(...pairs[kind]));
    }
  }
  return [
    report({
      benchmark: `network, ${way}: throughput between pods against the bare link`,
      aim: 'as near to 1 as the overlay’s headers let it',
      samples: { podsGbps: gigabits.pods, bareGbps: gigabits.bare },
      ratio: { ours: 'podsGbps', against: 'bareGbps' },
      notes: ['Gbit/s of one TCP stream; the link is a veth pair, so this is the work of the kernel alone.'],
    }),
    report({
      benchmark: `network, ${way}: latency between pods against the bare link`,
      aim: 'near 1',
      samples: { podsUs: microseconds.pods, bareUs: microseconds.bare },
      ratio: { ours: 'podsUs', against: 'bareUs' },
      notes: ['Microseconds.'],
    }),
  ];
}

/** Gbit/s that the receiver saw. */
async function throughput(from: Place, to: Place): Promise<number> {
  const server = spawn(
    'nsenter',
    [`--net=/run/netns/${to.namespace}`, 'iperf3', '-s', '-1', '--forceflush'],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const ended = once(server, 'exit');
  for await (const text of server.stdout) if (String(text).includes('Server listening')) break;
  const printed = await inside(from.namespace, ['iperf3', '-J', '-t', String(seconds), '-c', to.address]);
  await ended;
  const { end } = JSON.parse(printed) as { end: { sum_received: { bits_per_second: number } } };
  return end.sum_received.bits_per_second / 1e9;
}

/** Mean round trip in microseconds. */
async function latency(from: Place, to: Place): Promise<number> {
  const printed = await inside(from.namespace, [
    'ping',
    '-q',
    '-i',
    '0.002',
    '-c',
    String(echoes),
    to.address,
  ]);
  return 1000 * Number(/= [\d.]+\/([\d.]+)\//.exec(printed)?.[1]);
}
