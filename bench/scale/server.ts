/** The server alone (Postgres, API, worker) as processes of their own, from the bundles that users run. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { embeddedPostgresUrl } from '@rancher/db';
import { freePort } from '@rancher/testing';
import { until } from '../../test/e2e/support/installation.ts';

const root = join(import.meta.dirname, '../..');

export interface ScaleServer {
  url: string;
  tlsUrl: string;
  home: string;
  key: string;
  caFile: string;
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
    const tlsUrl = `https://127.0.0.1:${port}`;
    return {
      url,
      tlsUrl,
      home,
      key,
      caFile: join(home, 'tls/ca.pem'),
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
  rssMb: number;
}

/** Processor time and resident memory of a process and all below it. */
export async function usage(pid: number): Promise<Usage> {
  const { stdout } = await promisify(execFile)('ps', ['-eo', 'pid=,ppid=,rss=,cputimes=']);
  const rows = stdout
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number) as [number, number, number, number]);
  const wanted = new Set([pid]);
  for (let grown = true; grown; ) {
    const before = wanted.size;
    for (const [child, parent] of rows) if (wanted.has(parent)) wanted.add(child);
    grown = wanted.size > before;
  }
  const mine = rows.filter(([child]) => wanted.has(child));
  return {
    cpuSeconds: mine.reduce((sum, [, , , cpu]) => sum + cpu, 0),
    rssMb: mine.reduce((sum, [, , rss]) => sum + rss / 1024, 0),
  };
}
