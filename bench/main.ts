/**
 * `./rancher bench create|heal|footprint|scale|dns|failover|cni|network|conformance [--json] [--runs N]`: every figure that the
 * README states comes from here. Each benchmark makes what it needs, and clears it up.
 */
import { parseArgs } from 'node:util';
import { type BenchmarkReport, table } from './report.ts';

const benchmarks: Record<
  string,
  () => Promise<{ run(runs: number, options: { focus?: string }): Promise<BenchmarkReport[]>; runs: number }>
> = {
  create: () => import('./create/create.ts'),
  heal: () => import('./heal/heal.ts'),
  footprint: () => import('./footprint/footprint.ts'),
  scale: () => import('./scale/scale.ts'),
  dns: () => import('./dns/dns.ts'),
  failover: () => import('./failover/failover.ts'),
  cni: () => import('./cni/cni.ts'),
  network: () => import('./network/network.ts'),
  conformance: () => import('./conformance/conformance.ts'),
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'boolean', default: false }, runs: { type: 'string' }, focus: { type: 'string' } },
});
const name = positionals[0] ?? '';
const load = benchmarks[name];
const wanted = values.runs === undefined ? undefined : Number(values.runs);
if (load === undefined || (wanted !== undefined && !(Number.isInteger(wanted) && wanted > 0))) {
  process.stderr.write(
    `bench: ${load === undefined ? `no such benchmark: "${name}"; one of ${Object.keys(benchmarks).join(', ')}` : `--runs wants a whole number above 0, not "${values.runs}"`}\n`,
  );
  process.exit(2);
}
const benchmark = await load();
const reports = await benchmark.run(
  wanted ?? benchmark.runs,
  values.focus === undefined ? {} : { focus: values.focus },
);
process.stdout.write(
  values.json
    ? `${JSON.stringify(reports.length === 1 ? reports[0] : reports, null, 2)}\n`
    : `${reports.map(table).join('\n\n')}\n`,
);
