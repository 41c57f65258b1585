/**
 * What every benchmark prints: the ratio (ours against a floor or a peer, measured in the same run, interleaved), the
 * raw samples, and the machine. Times are milliseconds unless a name says otherwise.
 */
import { cpus, release, totalmem } from 'node:os';

export interface Machine {
  cpu: string;
  cores: number;
  memoryGiB: number;
  kernel: string;
  node: string;
}

export interface BenchmarkReport {
  benchmark: string;
  /** Ours divided by the floor or the peer, at the median; absent where there is neither. */
  ratio?: number;
  /** The aim of the project, in words, so that a reader can judge the ratio. */
  aim: string;
  samples: Record<string, number[]>;
  summary: Record<string, Summary>;
  /** What limits it, or what to know when reading it. */
  notes: string[];
  machine: Machine;
}

export interface Summary {
  n: number;
  min: number;
  median: number;
  p99: number;
  max: number;
}

export function machine(): Machine {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.version,
  };
}

/** The value below which a fraction `q` (0–1) of the samples lies, by the nearest rank. NaN without samples. */
export function quantile(samples: readonly number[], q: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(q * sorted.length) - 1))] ?? Number.NaN;
}

export function summarise(samples: readonly number[]): Summary {
  return {
    n: samples.length,
    min: quantile(samples, 0),
    median: quantile(samples, 0.5),
    p99: quantile(samples, 0.99),
    max: quantile(samples, 1),
  };
}

export function report(input: {
  benchmark: string;
  aim: string;
  samples: Record<string, number[]>;
  ratio?: { ours: string; against: string };
  notes?: string[];
}): BenchmarkReport {
  const summary = Object.fromEntries(Object.entries(input.samples).map(([k, v]) => [k, summarise(v)]));
  const { ratio } = input;
  const value =
    ratio === undefined
      ? undefined
      : quantile(input.samples[ratio.ours] ?? [], 0.5) / quantile(input.samples[ratio.against] ?? [], 0.5);
  return {
    benchmark: input.benchmark,
    ...(value === undefined ? {} : { ratio: Number(value.toFixed(3)) }),
    aim: input.aim,
    samples: input.samples,
    summary,
    notes: input.notes ?? [],
    machine: machine(),
  };
}

/** The report as a table for people. */
export function table(r: BenchmarkReport): string {
  const rows = Object.entries(r.summary).map(
    ([name, s]) =>
      `  ${name.padEnd(32)} n=${String(s.n).padEnd(4)} median ${s.median.toFixed(1).padStart(9)}  min ${s.min.toFixed(1).padStart(9)}  p99 ${s.p99.toFixed(1).padStart(9)}`,
  );
  return [
    `${r.benchmark}${r.ratio === undefined ? '' : `: ratio ${r.ratio}`}   (aim: ${r.aim})`,
    ...rows,
    ...r.notes.map((n) => `  ${n}`),
    `  ${r.machine.cores} × ${r.machine.cpu}, ${r.machine.memoryGiB} GiB, Linux ${r.machine.kernel}, Node ${r.machine.node}`,
  ].join('\n');
}
