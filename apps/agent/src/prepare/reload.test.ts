import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { InstanceSpec } from '@rancher/domain';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { tellReload, writeLiveFiles } from './reload.ts';

let folder: string;
let server: Server;
let heard: string;
let answer: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'reload-'));
  heard = '';
  answer = '[6]:done\n';
  server = createServer((socket) => {
    socket.on('data', (data) => {
      heard += data;
      if (heard.endsWith('\n')) socket.end(answer);
    });
  });
});
afterEach(async () => {
  server.close();
  await rm(folder, { recursive: true, force: true });
});

const listen = () => new Promise<void>((resolve) => server.listen(join(folder, 's'), resolve));
const spec = () =>
  ({
    component: 'balancer',
    files: [
      { path: join(folder, 'live'), mode: 0o600, content: 'new', live: true },
      { path: join(folder, 'fixed'), mode: 0o600, content: 'new' },
    ],
    reload: { socketPath: join(folder, 's'), commands: ['a 1', 'b 2'], refused: '^\\[[0-3]\\]:' },
  }) as unknown as InstanceSpec;

it('writes only what may change while it runs', async () => {
  writeLiveFiles(spec());
  expect(await readFile(join(folder, 'live'), 'utf8')).toBe('new');
  await expect(readFile(join(folder, 'fixed'))).rejects.toThrow('ENOENT');
});

it('tells the process all commands in one line, as soon as it listens', async () => {
  const told = tellReload(spec(), () => true);
  await listen();
  expect(await told).toBeUndefined();
  expect(heard).toBe('a 1; b 2\n');
});

it('gives the refusal in the process’s own words', async () => {
  await listen();
  answer = '[6]:fine\n[3]:No such server.\n';
  expect(await tellReload(spec(), () => true)).toBe(
    'balancer does not take up its configuration: [3]:No such server.',
  );
});

it('gives up when it need not be told any more', async () => {
  expect(await tellReload(spec(), () => false)).toBeUndefined();
});
