/** The server alone (Postgres, API, worker) as processes of their own, from the bundles that users run. */
import { type ChildProcess, spawn } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { embeddedPostgresUrl } from '@rancher/db';
import { freePort } from '@rancher/testing';
import { until } from '../../test/e2e/support/installation.ts';

const root = join(import.meta.dirname, '../..');

export interface ScaleServer {
  url: string;
  tlsUrl: string;
  home: string;
  key: string;
  /** Of the authority that the agents trust the server by. */
  caSha256: string;
  /** Process ids by name; Postgres' is that of the postmaster's parent. */
  pids: Record<'postgres' | 'api' | 'worker', number>;
  stop(): Promise<void>;
}

export async function startServer(): Promise<ScaleServer> {
  const home = await mkdtemp(join(tmpdir(), 'rancher-bench-scale-'));
  const children: ChildProcess[] = [];
  const start = (name: string, file: string, args: string[], env: Record<string, string>): number => {
    const log = openSync(join(home, `${name}.log`), 'a');
    const child = spawn(process.execPath, [join(root, file), ...args], {
      env: { ...process.env, NODE_ENV: 'production', ...env },
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    children.unshift(child);
    return child.pid ?? Number.NaN;
  };
  const stop = async () => {
    for (const child of children) {
      const gone = new Promise((resolve) => child.once('exit', resolve));
      if (child.exitCode === null && child.signalCode === null && child.kill('SIGTERM')) await gone;
    }
    await rm(home, { recursive: true, force: true });
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => void stop().finally(() => process.exit(1)));
  try {
    const [port, databasePort] = [await freePort(), await freePort()];
    const dir = join(home, 'postgres');
    const postgres = start(
      'postgres',
      'apps/cli/dist/postgres.js',
      ['--dir', dir, '--port', String(databasePort)],
      {},
    );
    const databaseUrl = await until('Postgres is up', async () => {
      const text = await readFile(join(home, 'postgres.log'), 'utf8');
      return text.includes('"ready":true') && embeddedPostgresUrl({ dir, port: databasePort });
    });
    const env = {
      RANCHER_HOME: home,
      RANCHER_PORT: String(port),
      DATABASE_URL: databaseUrl,
      RANCHER_LOG_LEVEL: 'warn',
    };
    const api = start('api', 'apps/api/dist/main.js', [], env);
    const url = `http://127.0.0.1:${port}`;
    await until('the API is ready', async () => (await fetch(`${url}/readyz`)).ok);
    const worker = start('worker', 'apps/worker/dist/main.js', [], env);
    const key = (await readFile(join(home, 'admin.key'), 'utf8')).trim();
    const ca = await readFile(join(home, 'tls/ca.pem'));
    const tlsUrl = `https://127.0.0.1:${port}`;
    return {
      url,
      tlsUrl,
      home,
      key,
      caSha256: new X509Certificate(ca).fingerprint256.replaceAll(':', ''),
      pids: { postgres, api, worker },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

export interface Usage {
  cpuSeconds: number;
  /** Proportional: what several processes share is divided among them. */
  memoryMb: number;
}

/** Processor time and memory of a process and all below it. */
export async function usage(pid: number): Promise<Usage> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const stats = (await Promise.all(pids.map(statOf))).filter((s) => s !== undefined);
  const wanted = new Set([pid]);
  for (let before = 0; before < wanted.size; ) {
    before = wanted.size;
    for (const stat of stats) if (wanted.has(stat.parent)) wanted.add(stat.pid);
  }
  const mine = stats.filter((stat) => wanted.has(stat.pid));
  const memory = await Promise.all(mine.map((stat) => proportionalKb(stat.pid)));
  return {
    cpuSeconds: mine.reduce((sum, stat) => sum + stat.cpuSeconds, 0),
    memoryMb: memory.reduce((sum, kb) => sum + kb / 1024, 0),
  };
}

/** Of proc_pid_stat(5): fields 4 and 14 to 17, so with the children that have ended; a hundred clock ticks each second. */
async function statOf(pid: string) {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  if (fields.length < 15) return undefined;
  return {
    pid: Number(pid),
    parent: Number(fields[1]),
    cpuSeconds: fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / 100,
  };
}

async function proportionalKb(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8').catch(() => '');
  return Number(/^Pss:\s+(\d+)/m.exec(text)?.[1] ?? 0);
}
