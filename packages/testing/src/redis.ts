import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './ports.ts';
import type { TestServer } from './postgres.ts';
import { until } from './until.ts';

/** Starts a Redis as production has it: append-only file, nothing evicted. Needs `redis-server` on the path. */
export async function startRedis(): Promise<TestServer> {
  const dir = await mkdtemp(join(tmpdir(), 'rancher-test-redis-'));
  const port = await freePort();
  let server = await start(dir, port);
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (server.exitCode !== null || server.signalCode !== null) return;
    server.kill(signal);
    await once(server, 'exit');
  };
  return {
    url: `redis://127.0.0.1:${port}`,
    pause: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
    async resume() {
      server = await start(dir, port);
    },
    async stop() {
      await end('SIGTERM');
      await rm(dir, { recursive: true, force: true });
    },
  };
}

async function start(dir: string, port: number): Promise<ChildProcess> {
  const settings = {
    port,
    bind: '127.0.0.1',
    dir,
    appendonly: 'yes',
    save: '',
    'maxmemory-policy': 'noeviction',
  };
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', 'redis-server', ...args], { stdio: 'ignore' });
  await once(child, 'spawn');
  await until('Redis answers', async () => (await ask(port)).includes('PONG'));
  return child;
}

async function ask(port: number): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  try {
    socket.write('PING\r\n');
    const [answer] = await once(socket, 'data');
    return String(answer);
  } finally {
    socket.destroy();
  }
}
