/**
 * Our DNS server against CoreDNS: the same zone of 1,000 Services and 5,000 pods in a real API server, the same questions,
 * by dnsperf; each server on the same one core, dnsperf on another; one after the other, in turn. Answers per second at
 * saturation; the 99th percentile of the time to an answer at a fixed rate, and at saturation.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { coredns, startKubernetes, until } from '@rancher/testing';
import { type BenchmarkReport, quantile, report } from '../report.ts';
import { fill, questions } from './cluster.ts';
import { type Server, startCoredns, startOurs } from './servers.ts';

export const runs = 5;
const seconds = 2;
/** A rate that both servers can bear, for latency as clients see it (questions/s). */
const steadyRate = 3000;
const names = { ours: 'rancher dns', theirs: `CoreDNS ${coredns.version}` } as const;
type Name = keyof typeof names;

const execute = promisify(execFile);

async function dnsperf(server: Server, file: string, more: string[]): Promise<string> {
  const args = [
    '-s',
    '127.0.0.1',
    '-p',
    `${server.port}`,
    '-d',
    file,
    '-l',
    `${seconds}`,
    '-c',
    '8',
    '-T',
    '1',
    '-t',
    '2',
  ];
  const { stdout } = await execute('taskset', ['-c', '1', 'dnsperf', ...args, ...more], {
    maxBuffer: 1 << 28,
  });
  const lost = Number(/Queries lost:\s+(\d+)/.exec(stdout)?.[1]);
  const completed = Number(/Queries completed:\s+(\d+)/.exec(stdout)?.[1]);
  if (!(completed > 0) || lost > completed / 100)
    throw new Error(`dnsperf lost ${lost} of ${completed} questions`);
  if (!/NOERROR/.test(stdout) || !/NXDOMAIN/.test(stdout) || /SERVFAIL \d/.test(stdout)) {
    throw new Error(`not the answers that were expected: ${/Response codes:.*/.exec(stdout)?.[0]}`);
  }
  return stdout;
}

/** Answers per second with 100 questions always on the way. */
async function rate(server: Server, file: string): Promise<number> {
  const stdout = await dnsperf(server, file, ['-q', '100']);
  return Number(/Queries per second:\s+([\d.]+)/.exec(stdout)?.[1]);
}

/** The 99th percentile of the time to an answer (µs). dnsperf says each time in its verbose mode. */
async function p99(server: Server, file: string, more: string[]): Promise<number> {
  const stdout = await dnsperf(server, file, ['-v', ...more]);
  const times = [...stdout.matchAll(/^> \S+ \S+ \S+ ([\d.]+)$/gm)].map((m) => Number(m[1]) * 1e6);
  return quantile(times, 0.99);
}

export async function run(rounds: number): Promise<BenchmarkReport[]> {
  await execute('dnsperf', ['-h']).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') throw new Error('dnsperf is missing: install the package dnsperf');
  });
  const dir = await mkdtemp(join(tmpdir(), 'rancher-bench-dns-'));
  const file = join(dir, 'questions.txt');
  const kubernetes = await startKubernetes();
  const servers: Partial<Record<Name, Server>> = {};
  try {
    await fill(kubernetes);
    await writeFile(file, questions());
    servers.ours = await startOurs(kubernetes, dir);
    servers.theirs = await startCoredns(kubernetes, dir);
    for (const server of Object.values(servers)) {
      await until('it answers', () => rate(server, file), { withinMs: 60_000 });
    }
    return await measure(servers as Record<Name, Server>, file, rounds);
  } finally {
    for (const server of Object.values(servers)) server.stop();
    await kubernetes.stop();
    await rm(dir, { recursive: true, force: true });
  }
}

async function measure(
  servers: Record<Name, Server>,
  file: string,
  rounds: number,
): Promise<BenchmarkReport[]> {
  const taken = () => ({ ours: [] as number[], theirs: [] as number[] });
  const [rates, steady, saturated, memory, own] = [taken(), taken(), taken(), taken(), taken()];
  for (let round = 0; round < rounds; round++) {
    const order: Name[] = round % 2 === 0 ? ['ours', 'theirs'] : ['theirs', 'ours'];
    for (const name of order) {
      const server = servers[name];
      rates[name].push(await rate(server, file));
      steady[name].push(await p99(server, file, ['-q', '100', '-Q', `${steadyRate}`]));
      saturated[name].push(await p99(server, file, ['-q', '100']));
      memory[name].push(server.memory().resident);
      own[name].push(server.memory().own);
    }
  }
  const of = (benchmark: string, aim: string, samples: Record<Name, number[]>, notes: string[]) =>
    report({
      benchmark,
      aim,
      samples: { [names.ours]: samples.ours, [names.theirs]: samples.theirs },
      ratio: { ours: names.ours, against: names.theirs },
      notes,
    });
  return [
    of('dns: answers per second, one core', 'at least 1.3', rates, ['higher is better']),
    of(`dns: p99 at ${steadyRate} questions/s (µs)`, 'no more than 1', steady, ['lower is better']),
    of('dns: p99 at saturation (µs)', 'no more than 1', saturated, [
      'lower is better; 100 questions on the way',
    ]),
    of('dns: resident memory (MB)', 'none; Node’s own text is shared with the agent', memory, []),
    of('dns: memory of its own (anonymous, MB)', 'none', own, []),
  ];
}
