/**
 * ADD and DEL of the CNI plugin (front, resident daemon, reference plugins) against calling the reference `bridge` plugin
 * directly: once doing the same for a pod, masquerading included, and once bare. Real programs, in namespaces of its own.
 */
import { join } from 'node:path';
import { inside, Lab, programs } from '../../apps/cni/src/testing/lab.ts';
import { type BenchmarkReport, quantile, report } from '../report.ts';
import type { Contender, Samples } from './inside.ts';

export const runs = 40;

export async function run(count: number): Promise<BenchmarkReport[]> {
  const lab = new Lab(await programs());
  try {
    const node = { name: 'a', address: '192.168.0.2', podCidr: '10.42.7.0/24' };
    const host = await lab.host(node, await lab.router(1));
    await host.start([node]);
    const pod = { CNI_NETNS: `/run/netns/${await lab.namespace()}` };
    const bridge = (name: string, link: string, subnet: string, ipMasq: boolean): Contender => ({
      name,
      program: join(lab.programs.plugins, 'bridge'),
      config: {
        cniVersion: '1.1.0',
        name,
        type: 'bridge',
        bridge: link,
        isGateway: true,
        isDefaultGateway: true,
        hairpinMode: true,
        ipMasq,
        ipMasqBackend: 'nftables',
        ipam: { type: 'host-local', ranges: [[{ subnet }]], dataDir: join(lab.folder, 'bench') },
      },
      env: { ...pod, CNI_PATH: lab.programs.plugins },
    });
    const contenders: Contender[] = [
      {
        name: 'ours',
        program: lab.programs.front[0]!,
        config: { cniVersion: '1.1.0', name: 'rancher', type: 'rancher' },
        env: { ...pod, RANCHER_CNI_SOCKET: host.socket },
      },
      bridge('bridge', 'cni8', '10.98.0.0/24', true),
      bridge('bareBridge', 'cni9', '10.99.0.0/24', false),
    ];
    const script = join(import.meta.dirname, 'inside.ts');
    const argument = JSON.stringify({ contenders, runs: count });
    const printed = await inside(host.namespace, [process.execPath, script, argument]);
    return reportsOf(JSON.parse(printed) as Samples);
  } finally {
    await lab.close();
  }
}

function reportsOf(samples: Samples): BenchmarkReport[] {
  return (['add', 'del'] as const).map((verb) =>
    report({
      benchmark: `cni ${verb.toUpperCase()}: ours against the reference plugin bridge`,
      aim: 'at most 1.5',
      samples: Object.fromEntries(
        Object.entries(samples).map(([name, { [verb]: times }]) => [`${name}Ms`, times]),
      ),
      ratio: { ours: 'oursMs', against: 'bridgeMs' },
      notes: [
        'bridgeMs masquerades to the outside, as ours does, by rules for each pod; bareBridgeMs leaves that out.',
        `against bareBridgeMs: ratio ${ratioOf(samples, verb)}`,
      ],
    }),
  );
}

function ratioOf(samples: Samples, verb: 'add' | 'del'): string {
  const median = (name: string) => quantile(samples[name]![verb], 0.5);
  return (median('ours') / median('bareBridge')).toFixed(3);
}
