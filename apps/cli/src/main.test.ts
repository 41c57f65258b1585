/** Protects what scripts rely on: exit codes, and that misuse names what was wrong and what would be right. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

let home: string;
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'rancher-cli-'));
});
afterAll(() => rm(home, { recursive: true, force: true }));

function rancher(args: string[], env: Record<string, string> = {}) {
  return new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
    const node = join(import.meta.dirname, '../../../node_modules/.bin/node');
    execFile(
      node,
      [join(import.meta.dirname, 'main.ts'), ...args],
      { maxBuffer: 64 << 20, env: { PATH: process.env.PATH, RANCHER_HOME: home, ...env } },
      (error, stdout, stderr) => resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    );
  });
}

describe('misuse exits 2 and says what would be right', () => {
  test.each<[string, string[], Record<string, string>, RegExp]>([
    ['an unknown command', ['nonsense'], {}, /unknown command 'nonsense'/],
    ['an unknown flag', ['up', '--bogus'], {}, /unknown option '--bogus'/],
    ['a missing name', ['environment', 'create'], {}, /missing required argument 'name'/],
    [
      'a count that is none',
      ['environment', 'create', 'x', '--hosts', 'two'],
      {},
      /--hosts.*whole number from 0 to 100/,
    ],
    ['a label without a value', ['environment', 'create', 'x', '--label', 'a'], {}, /--label.*key=value/],
    ['kubectl of nothing', ['kubectl', '-e'], {}, /-e must be followed by an environment/],
    [
      'a version that is not supported',
      ['artifacts', 'fetch', '1.2.3'],
      {},
      /1\.2\.3 is not supported.*1\.37\.2/,
    ],
    ['a label that is none', ['host', 'label', 'h', 'rack'], {}, /"rack" must be key=value, or key-/],
    ['a token for no machine', ['host', 'token', '--uses', '0'], {}, /--uses.*whole number from 1 to 10000/],
    ['a port that is none', ['status'], { RANCHER_PORT: 'http' }, /RANCHER_PORT must be a whole number/],
    ['a home that is relative', ['status'], { RANCHER_HOME: 'here' }, /RANCHER_HOME.*absolute/],
  ])('%s', async (_, args, env, message) => {
    const { code, stderr } = await rancher(args, env);
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringMatching(message) });
  });
});

test('a command without a server fails with 1, and says how to start one', async () => {
  const { code, stderr } = await rancher(['events']);
  expect(code).toBe(1);
  expect(stderr).toMatch(/rancher up/);
});

test('status without a server answers in JSON all the same, and exits 1', async () => {
  const { code, stdout } = await rancher(['status', '--json'], { RANCHER_PORT: '18099' });
  expect(code).toBe(1);
  expect(JSON.parse(stdout)).toMatchObject({
    url: 'http://127.0.0.1:18099',
    adminKeyFile: join(home, 'admin.key'),
    environments: [],
  });
});

test('help and version exit 0', async () => {
  expect((await rancher(['--help'])).code).toBe(0);
  expect((await rancher(['environment', 'create', '--help'])).code).toBe(0);
  expect(JSON.parse((await rancher(['version', '--json'])).stdout)).toMatchObject({
    version: expect.any(String),
  });
});

test('down where nothing ever was is no failure, and touches nothing', async () => {
  const { code, stdout } = await rancher(['down', '--purge']);
  expect(code).toBe(0);
  expect(stdout).toMatch(/nothing to stop/);
  expect(await rm(home, { recursive: false, force: false }).catch((e: Error) => e.message)).toMatch(
    /directory/,
  );
});

test('a pipe gets all of what is said, however much that is', async () => {
  const items = Array.from({ length: 40_000 }, (_, i) => ({ id: `env_${i}`, name: 'x'.repeat(100) }));
  const server = createServer((_, response) => {
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ items }));
  }).listen(0, '127.0.0.1');
  try {
    await once(server, 'listening');
    await writeFile(join(home, 'admin.key'), 'rk_test');
    const port = String((server.address() as AddressInfo).port);
    const { code, stdout } = await rancher(['environment', 'ls', '--json'], { RANCHER_PORT: port });
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toHaveLength(items.length);
  } finally {
    server.close();
    await rm(join(home, 'admin.key'));
  }
});
