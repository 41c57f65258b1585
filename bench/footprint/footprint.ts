/**
 * Footprint of the server and the agents, idle, with one environment: resident memory (`VmRSS`) and processor time of
 * each process over a minute.
 */
import { readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { run as command, type Installation } from '../../test/e2e/support/installation.ts';
import { withInstallation } from '../installation.ts';
import { type BenchmarkReport, report } from '../report.ts';

export const runs = 3;
const windowSeconds = 60;

interface Usage {
  rssMb: number;
  cpuSeconds: number;
}

async function usage(pid: number): Promise<Usage> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const stat = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]?.split(' ') ?? [];
  return {
    rssMb: Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024,
    // Fields 14 and 15 of proc_pid_stat(5): clock ticks, a hundred each second.
    cpuSeconds: (Number(stat[11]) + Number(stat[12])) / 100,
  };
}

/** The server's processes, the machine's agent and the host's agent, by name. */
async function processes(rancher: Installation): Promise<Record<string, number>> {
  const status = JSON.parse(await rancher.must(['status', '--json'])) as {
    processes: { name: string; pid: number | null }[];
  };
  const named = status.processes.filter((p) => p.pid !== null && p.name !== 'postgres');
  const found: Record<string, number> = Object.fromEntries(named.map((p) => [p.name, p.pid as number]));
  const { body } = await rancher.api('GET', '/v1/hosts');
  for (const host of body.items)
    if (host.spec.kind === 'local') found['host agent'] = host.status.facts.agentPid as number;
  return found;
}

export async function run(count: number): Promise<BenchmarkReport[]> {
  const samples: Record<string, number[]> = {};
  const add = (name: string, value: number) => {
    samples[name] = [...(samples[name] ?? []), value];
  };
  await withInstallation('footprint', async (rancher) => {
    // What starting up left behind is collected and settled first.
    await pause(30_000);
    for (let i = 0; i < count; i++) {
      const pids = await processes(rancher);
      const before = await Promise.all(Object.values(pids).map(usage));
      await pause(windowSeconds * 1000);
      const after = await Promise.all(Object.values(pids).map(usage));
      let server = 0;
      for (const [k, name] of Object.keys(pids).entries()) {
        const rss = after[k]?.rssMb ?? Number.NaN;
        const cpu = (((after[k]?.cpuSeconds ?? 0) - (before[k]?.cpuSeconds ?? 0)) / windowSeconds) * 100;
        add(`${name} RSS (MB)`, rss);
        add(`${name} CPU (% of a core)`, cpu);
        if (name === 'api' || name === 'worker') server += rss;
      }
      add('server without Postgres RSS (MB)', server);
    }
  });
  const { stdout } = await command('uname', ['-m']);
  return [
    report({
      benchmark: 'footprint: idle, one environment',
      aim: 'server without Postgres at most 250 MB, agent 80 MB, under 2% of a core',
      samples,
      notes: [`${windowSeconds} s windows on ${stdout.trim()}`],
    }),
  ];
}
