/**
 * docker-compose.yml, run for real: the server comes up by one command, answers over TLS, works its queues on Redis, and
 * an agent joins it and comes back to it. What the images are made of where there is no registry: base-images.ts.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sharedCacheDir } from '@rancher/artifacts';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { type Docker, root, startDocker, told } from '../support/docker.ts';
import { ensureBaseImages } from './base-images.ts';

const cache = sharedCacheDir();
const project = `rancher-${process.pid}`;
const patience = { timeout: 120_000, interval: 500 };

let engine: Docker | undefined;
let agent: ChildProcess | undefined;
let folder: string;
let env: Record<string, string>;
let ca: string;
let adminKey: string;

const compose = (...args: string[]) => engine!.compose(env, ...args);
const fromApi = (file: string) => compose('exec', '-T', 'api', 'cat', `/var/lib/rancher/${file}`);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rancher-compose-'));
  const port = await freePort();
  env = { RANCHER_PORT: String(port), RANCHER_ADVERTISE: `127.0.0.1:${port}`, RANCHER_CACHE: cache };
  engine = await startDocker(join(cache, 'images', 'docker'), project);
  await ensureBaseImages(engine, join(cache, 'images'));
  // One image for both services: built once.
  await compose('build', 'api');
  await compose('up', '--detach');
  [ca, adminKey] = await Promise.all([fromApi('tls/ca.pem'), fromApi('admin.key')]);
});

afterAll(async () => {
  if (agent?.exitCode === null && agent.kill('SIGTERM')) await once(agent, 'exit');
  // It makes the machine a bridge for local hosts, which stays when the agent ends.
  if (agent !== undefined) await once(startAgent('purge'), 'exit');
  if (engine) {
    await compose('down', '--volumes', '--timeout', '5').catch((error: unknown) => console.error(error));
    await engine.stop();
  }
  await rm(folder, { recursive: true, force: true });
});

function startAgent(command: 'run' | 'purge'): ChildProcess {
  const main = join(root, 'apps/agent/src/main.ts');
  const args = [
    '--disable-warning=ExperimentalWarning',
    main,
    command,
    '--config',
    join(folder, 'agent.json'),
  ];
  return spawn(process.execPath, args, { stdio: 'ignore' });
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

interface Answer {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: responses are looked into freely by tests
  body: any;
}

/** A request that trusts the server's own authority alone. */
function api(method: string, path: string, { key = adminKey, body }: { key?: string; body?: unknown } = {}) {
  return new Promise<Answer>((resolve, reject) => {
    const headers: Record<string, string> = { authorization: `Bearer ${key.trim()}` };
    if (body !== undefined) headers['content-type'] = 'application/json';
    const call = request(
      `https://${env.RANCHER_ADVERTISE}${path}`,
      { method, headers, ca, agent: false },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => {
          text += part;
        });
        response.on('end', () => resolve({ status: response.statusCode!, body: parsed(text) }));
        response.on('error', reject);
      },
    );
    call.on('error', reject).end(body === undefined ? undefined : JSON.stringify(body));
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

async function machine(): Promise<{ name: string; status: { connected: boolean; connectedAt: string } }> {
  const { body } = await api('GET', '/v1/hosts?kind=machine');
  return body.items.find((host: { name: string }) => host.name === 'compose-machine');
}

test('every service runs, and the API answers by its own certificate alone', async () => {
  expect((await api('GET', '/readyz', { key: '' })).status).toBe(200);
  expect((await api('GET', '/v1/environments', { key: 'rk_wrong' })).status).toBe(401);
  expect(await api('GET', '/v1/environments')).toMatchObject({ status: 200, body: { items: [] } });
  await expect(fetch(`https://${env.RANCHER_ADVERTISE}/readyz`)).rejects.toThrow();
  await vi.waitFor(async () => {
    const running = await compose('ps', '--services', '--filter', 'status=running');
    expect(running.trim().split('\n').sort()).toEqual(['api', 'postgres', 'redis', 'worker']);
  }, patience);
});

test('the worker works its queues on Redis', async () => {
  await vi.waitFor(async () => {
    const keys = await compose('exec', '-T', 'redis', 'redis-cli', '--scan', '--pattern', 'bull:*');
    expect(keys.trim()).not.toBe('');
  }, patience);
  expect(await compose('exec', '-T', 'redis', 'redis-cli', 'config', 'get', 'maxmemory-policy')).toContain(
    'noeviction',
  );
});

test('an agent joins with a token, and trusts the authority of this server alone', async () => {
  const made = await api('POST', '/v1/registrationTokens', { body: { description: 'compose' } });
  expect(made.status).toBe(201);
  const caSha256 = new X509Certificate(ca).fingerprint256.replaceAll(':', '').toLowerCase();
  // A machine that belongs to no environment has no command of its own: it runs local hosts.
  expect(made.body.command).toBeNull();
  const config = {
    kind: 'machine',
    name: 'compose-machine',
    serverUrl: `https://${env.RANCHER_ADVERTISE}`,
    caSha256,
    token: made.body.token,
    stateDir: join(folder, 'agent'),
    runDir: join(folder, 'run'),
    logFile: join(folder, 'agent.log'),
    localHosts: { home: folder },
  };
  await writeFile(join(folder, 'agent.json'), JSON.stringify(config), { mode: 0o600 });
  agent = startAgent('run');
  await vi.waitFor(async () => {
    expect(agent!.exitCode, await readFile(config.logFile, 'utf8').catch(() => '')).toBeNull();
    expect(await machine()).toMatchObject({ status: { connected: true } });
  }, patience);
});

test('after a restart of everything the data is there, and the agent comes back', async () => {
  const before = await machine();
  await compose('restart', '--timeout', '10');
  await vi.waitFor(async () => {
    const host = await machine();
    expect(host.status.connected).toBe(true);
    expect(Date.parse(host.status.connectedAt)).toBeGreaterThan(Date.parse(before.status.connectedAt));
  }, patience);
});

test('it stops without a trace but its volumes, which go with --volumes', async () => {
  await compose('down', '--volumes', '--timeout', '5');
  expect((await engine!.docker('ps', '--all', '--quiet')).trim()).toBe('');
  expect((await engine!.docker('volume', 'ls', '--quiet', '--filter', `name=${project}`)).trim()).toBe('');
  const links = await told('ip', ['-brief', 'link', 'show', 'type', 'bridge']);
  expect(links).not.toContain('br-');
});
