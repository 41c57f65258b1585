/**
 * The engine at scale: environments of ten simulated hosts, over real sockets, on this one machine (server, Postgres
 * and all agents share its cores). Created all at once; then, while 1% of the instances fail each second, how long a
 * failed service is gone, and how long reads of the API take. At 50 and at 200 environments: growth worse than linear
 * shows as a ratio above 1.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { until } from '../../test/e2e/support/installation.ts';
import { type BenchmarkReport, quantile, report } from '../report.ts';
import type { FromFarm, ToFarm } from './farm.ts';
import { type ScaleServer, startServer, usage } from './server.ts';

export const runs = 1;
const hostsEach = 10;
const failSeconds = 30;
const sizes = [50, 200];

interface Client {
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked into freely
  request(method: string, path: string, body?: unknown): Promise<any>;
}

function client(server: ScaleServer): Client {
  return {
    async request(method, path, body) {
      const response = await fetch(server.url + path, {
        method,
        headers: { authorization: `Bearer ${server.key}`, 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
      return response.json();
    },
  };
}

interface Measured {
  activeMs: number;
  instances: number;
  failures: number;
  unanswered: number;
  recreateMs: number[];
  readMs: number[];
  cpuPercent: Record<string, number>;
  memoryMb: Record<string, number>;
}

async function create(server: ScaleServer, farm: ChildProcess, environments: number): Promise<number> {
  const { request } = client(server);
  const started = performance.now();
  const createOne = async (i: number) => {
    const name = `scale-${i}`;
    const { target } = await request('POST', '/v1/environments', { name, spec: { hosts: { local: 0 } } });
    const token = await request('POST', '/v1/registrationTokens', {
      environmentId: target.id,
      maxUses: hostsEach,
    });
    const message: ToFarm = {
      type: 'join',
      environment: name,
      token: token.token,
      hosts: hostsEach,
      serverUrl: server.tlsUrl,
      caSha256: server.caSha256,
    };
    // Closed when another of them failed and the run is being cleared up.
    if (farm.connected) farm.send(message);
  };
  // Ten at a time: a user's script, not a flood of open requests.
  for (let i = 0; i < environments; i += 10)
    await Promise.all(Array.from({ length: Math.min(10, environments - i) }, (_, k) => createOne(i + k)));
  await until(
    `${environments} environments are active`,
    async () => {
      const { items } = await request('GET', '/v1/environments?pageSize=1000');
      const active = items.filter((e: { status: { state: string } }) => e.status.state === 'active').length;
      return active === environments;
    },
    900_000,
    500,
  );
  return performance.now() - started;
}

/** Reads of several kinds, one after the other, until `done`. */
async function reads(server: ScaleServer, done: () => boolean): Promise<number[]> {
  const { request } = client(server);
  const { items } = await request('GET', '/v1/environments?pageSize=1000');
  const id = () => items[Math.floor(Math.random() * items.length)].id as string;
  const paths = [
    () => '/v1/environments?pageSize=100',
    () => `/v1/environments/${id()}`,
    () => `/v1/environments/${id()}/instances`,
    () => `/v1/environments/${id()}/hosts`,
  ];
  const times: number[] = [];
  for (let i = 0; !done(); i++) {
    const started = performance.now();
    await request('GET', (paths[i % paths.length] as () => string)());
    times.push(performance.now() - started);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return times;
}

async function measure(environments: number): Promise<Measured> {
  const server = await startServer();
  const farm = fork(join(import.meta.dirname, 'farm.ts'), {
    execArgv: ['--disable-warning=ExperimentalWarning', '--max-old-space-size=4096'],
  });
  try {
    const activeMs = await create(server, farm, environments);
    const { request } = client(server);
    const first = (await request('GET', '/v1/environments?pageSize=1')).items[0].id;
    const each = (await request('GET', `/v1/environments/${first}/instances?pageSize=1000`)).items
      .length as number;
    const instances = each * environments;
    let done = false;
    const reading = reads(server, () => done);
    const pids: Record<string, number> = { ...server.pids, 'all agents': farm.pid ?? 0 };
    const names = Object.keys(pids);
    const look = () => Promise.all(names.map((name) => usage(pids[name] ?? 0)));
    const before = await look();
    const started = performance.now();
    farm.send({ type: 'fail', perSecond: instances / 100, seconds: failSeconds } satisfies ToFarm);
    const failed = await answer(farm, 'failed');
    const seconds = (performance.now() - started) / 1000;
    const after = await look();
    done = true;
    const cpu = names.map((n, i) => [
      n,
      (((after[i]?.cpuSeconds ?? 0) - (before[i]?.cpuSeconds ?? 0)) / seconds) * 100,
    ]);
    return {
      activeMs,
      instances,
      failures: failed.failures,
      unanswered: failed.unanswered,
      recreateMs: failed.latenciesMs,
      readMs: await reading,
      cpuPercent: Object.fromEntries(cpu) as Record<string, number>,
      memoryMb: Object.fromEntries(names.map((n, i) => [n, after[i]?.memoryMb ?? Number.NaN])),
    };
  } finally {
    const gone = once(farm, 'exit');
    if (farm.connected) farm.send({ type: 'stop' } satisfies ToFarm);
    else farm.kill('SIGKILL');
    await gone;
    await server.stop();
  }
}

async function answer<T extends FromFarm['type']>(
  farm: ChildProcess,
  type: T,
): Promise<Extract<FromFarm, { type: T }>> {
  for (;;) {
    const [message] = (await once(farm, 'message')) as [FromFarm];
    if (message.type === type) return message as Extract<FromFarm, { type: T }>;
  }
}

function words(environments: number, m: Measured): string {
  const figures = (values: Record<string, number>, unit: string) =>
    Object.entries(values)
      .map(([name, value]) => `${name} ${value.toFixed(0)} ${unit}`)
      .join(', ');
  return [
    `${environments} environments, ${environments * hostsEach} hosts, ${m.instances} instances:`,
    `active after ${(m.activeMs / 1000).toFixed(1)} s;`,
    `${m.failures} failures in ${failSeconds} s (${m.unanswered} not answered within a minute),`,
    `recreate p50 ${quantile(m.recreateMs, 0.5).toFixed(0)} ms p99 ${quantile(m.recreateMs, 0.99).toFixed(0)} ms;`,
    `reads p99 ${quantile(m.readMs, 0.99).toFixed(0)} ms; CPU ${figures(m.cpuPercent, '%')}; memory ${figures(m.memoryMb, 'MB')}`,
  ].join(' ');
}

export async function run(): Promise<BenchmarkReport[]> {
  const measured: [number, Measured][] = [];
  for (const size of sizes) measured.push([size, await measure(size)]);
  const [[smallSize, small], [largeSize, large]] = measured as [[number, Measured], [number, Measured]];
  const perEnvironment = (m: Measured, n: number) => [m.activeMs / n];
  return [
    report({
      benchmark: `scale: time to active for each environment, ${largeSize} against ${smallSize}`,
      aim: 'not worse than linear: a ratio of at most 1',
      samples: {
        [`activeMsEach${smallSize}`]: perEnvironment(small, smallSize),
        [`activeMsEach${largeSize}`]: perEnvironment(large, largeSize),
        ...Object.fromEntries(measured.map(([n, m]) => [`recreateMs${n}`, m.recreateMs])),
        ...Object.fromEntries(measured.map(([n, m]) => [`readMs${n}`, m.readMs])),
      },
      ratio: { ours: `activeMsEach${largeSize}`, against: `activeMsEach${smallSize}` },
      notes: measured.map(([n, m]) => words(n, m)),
    }),
  ];
}
