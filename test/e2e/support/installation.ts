/**
 * An installation of its own for a scenario: its RANCHER_HOME, port and everything below, driven as a user drives it,
 * through `./rancher` and REST. `purge` in an `afterAll` removes every trace, after a failure too.
 */
import { execFile, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, until as waitFor } from '@rancher/testing';

const root = new URL('../../..', import.meta.url).pathname;

export interface Result {
  code: number;
  stdout: string;
  stderr: string;
}

export interface InstanceRow {
  id: string;
  component: string;
  host: string;
  state: string;
  health: string;
  pid: number | null;
  restarts: number;
  lastReason: string | null;
}

export interface EventRow {
  id: string;
  reason: string;
  type: string;
  message: string;
  createdAt: string;
  data?: Record<string, unknown>;
}

export interface Answer {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever was answered
  body: any;
  headers: Headers;
}

export interface Installation {
  home: string;
  port: number;
  url: string;
  env: Record<string, string>;
  /** Runs `./rancher …`; never throws for an exit code. */
  rancher(args: string[], options?: { input?: string; timeoutMs?: number }): Promise<Result>;
  /** Runs `./rancher …` and throws with its output when it fails. */
  must(args: string[], options?: { input?: string; timeoutMs?: number }): Promise<string>;
  kubectl(args: string[], options?: { environment?: string; input?: string }): Promise<string>;
  /** A request with the admin key. */
  api(method: string, path: string, body?: unknown): Promise<Answer>;
  instances(environment?: string): Promise<InstanceRow[]>;
  events(environment?: string): Promise<EventRow[]>;
  purge(): Promise<void>;
}

export function run(
  command: string,
  args: string[],
  options: { env?: Record<string, string>; input?: string; timeoutMs?: number; cwd?: string } = {},
): Promise<Result> {
  return new Promise((resolve) => {
    const child = execFile(
      command,
      args,
      {
        cwd: options.cwd ?? root,
        env: { ...process.env, ...options.env },
        timeout: options.timeoutMs ?? 300_000,
        maxBuffer: 64 << 20,
      },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 128;
        resolve({ code, stdout, stderr });
      },
    );
    // A command that reads nothing may be gone before its input is.
    child.stdin?.on('error', () => {}).end(options.input ?? '');
  });
}

/** Runs a program and gives its standard output; throws an Error with what it said when it fails. */
export async function must(
  command: string,
  args: string[],
  options?: Parameters<typeof run>[2],
): Promise<string> {
  const { code, stdout, stderr } = await run(command, args, options);
  if (code !== 0)
    throw new Error(`${command} ${args.join(' ')} → ${code}: ${(stdout + stderr).slice(-4000)}`);
  return stdout;
}

export async function createInstallation(name: string): Promise<Installation> {
  const home = await mkdtemp(join(tmpdir(), `rancher-${name}-`));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const env = { RANCHER_HOME: home, RANCHER_PORT: String(port), CI: 'true' };
  const rancher: Installation['rancher'] = (args, options = {}) =>
    run('./rancher', args, { env, timeoutMs: 900_000, ...options });
  const must: Installation['must'] = async (args, options) => {
    const result = await rancher(args, options);
    if (result.code !== 0)
      throw new Error(`./rancher ${args.join(' ')} → ${result.code}\n${result.stdout}\n${result.stderr}`);
    return result.stdout;
  };
  return {
    home,
    port,
    url,
    env,
    rancher,
    must,
    kubectl: (args, { environment = 'default', input } = {}) =>
      must(['kubectl', '-e', environment, ...args], input === undefined ? {} : { input }),
    async api(method, path, body) {
      const key = (await readFile(join(home, 'admin.key'), 'utf8')).trim();
      const response = await fetch(url + path, {
        method,
        headers: {
          authorization: `Bearer ${key}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await response.text();
      return {
        status: response.status,
        body: text === '' ? null : JSON.parse(text),
        headers: response.headers,
      };
    },
    instances: async (environment = 'default') =>
      JSON.parse(await must(['instances', '-e', environment, '--json'])) as InstanceRow[],
    events: async (environment = 'default') =>
      JSON.parse(await must(['events', '-e', environment, '--json'])) as EventRow[],
    async purge() {
      const result = await rancher(['down', '--purge']);
      await rm(home, { recursive: true, force: true });
      if (result.code !== 0) throw new Error(`down --purge failed: ${result.stdout}\n${result.stderr}`);
    },
  };
}

/** {@link waitFor} with the patience that real clusters need: each look of a scenario is a process or a request. */
export function until<T>(
  what: string,
  probe: () => Promise<T>,
  withinMs = 120_000,
  everyMs = 200,
): Promise<NonNullable<Exclude<T, false>>> {
  return waitFor(what, probe, { withinMs, everyMs });
}

/** Starts `./rancher kubectl …` in the background, for port-forward and watches; `stop` ends it. */
export function background(installation: Installation, args: string[]): { output(): string; stop(): void } {
  const child = spawn('./rancher', args, {
    cwd: root,
    env: { ...process.env, ...installation.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  child.stdout.on('data', (d: Buffer) => {
    text += d.toString();
  });
  child.stderr.on('data', (d: Buffer) => {
    text += d.toString();
  });
  return { output: () => text, stop: () => child.kill('SIGTERM') };
}
