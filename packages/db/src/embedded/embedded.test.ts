import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { freePort, until } from '@rancher/testing';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { embeddedPostgresUrl } from './cluster.ts';
import { startEmbeddedPostgres } from './server.ts';

let home: string;
let dir: string;
let port: number;
const children: ChildProcess[] = [];

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'rancher-test-home-'));
  // As /root is: nobody else may pass.
  await chmod(home, 0o700);
  dir = join(home, 'a folder', 'postgres');
  port = await freePort();
});
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGTERM');
      await once(child, 'exit');
    }
  }
  await rm(home, { recursive: true, force: true });
});

async function ask(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

/** Runs embedded-main as the CLI does; gives the process and a function that waits for the n-th `ready`. */
function runMain(): { main: ChildProcess; ready: (n: number) => Promise<number> } {
  const path = join(import.meta.dirname, '..', 'embedded-main.ts');
  const main = spawn(process.execPath, [path, '--dir', dir, '--port', String(port)], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  children.push(main);
  const pids: number[] = [];
  createInterface({ input: main.stdout as NodeJS.ReadableStream }).on('line', (line) =>
    pids.push(JSON.parse(line).pid),
  );
  return { main, ready: (n) => until(`Postgres is ready for the ${n}. time`, () => pids[n - 1]) };
}

/** Also when nobody has reaped it yet: that is for its new parent. */
const gone = (pid: number): Promise<boolean> =>
  readFile(`/proc/${pid}/stat`, 'utf8').then(
    (text) => text.includes(') Z '),
    () => true,
  );

describe('startEmbeddedPostgres', () => {
  it('keeps data and password from one start to the next, and both to itself', async () => {
    const first = await startEmbeddedPostgres({ dir, port });
    await ask(first.url, 'CREATE TABLE t (x int); INSERT INTO t VALUES (42)');
    expect(await ask(first.url, 'SHOW fsync')).toEqual([{ fsync: 'on' }]);
    await first.stop();
    const again = await startEmbeddedPostgres({ dir, port });
    expect(again.url).toBe(first.url);
    expect(again.url).toBe(await embeddedPostgresUrl({ dir, port }));
    expect(await ask(again.url, 'SELECT x FROM t')).toEqual([{ x: 42 }]);
    expect((await stat(join(dir, 'password'))).mode & 0o777).toBe(0o600);
    expect((await stat(join(dir, 'data'))).mode & 0o777).toBe(0o700);
    await again.stop();
  });

  it('does not run as root', async () => {
    const server = await startEmbeddedPostgres({ dir, port });
    expect((await stat(`/proc/${server.pid}`)).uid).not.toBe(0);
    await server.stop();
  });

  it('lets nobody in without the password', async () => {
    const server = await startEmbeddedPostgres({ dir, port });
    await expect(ask(server.url.replace(/:[^:@]*@/, ':wrong@'), 'SELECT 1')).rejects.toThrow(
      /authentication failed/,
    );
    await server.stop();
  });

  it('says what is wrong when the port is taken', async () => {
    const other = createServer().listen(port, '127.0.0.1');
    await once(other, 'listening');
    await expect(startEmbeddedPostgres({ dir, port })).rejects.toThrow(
      /could not bind.*Address already in use/s,
    );
    other.close();
  });

  it('recovers what was committed before a SIGKILL', async () => {
    const server = await startEmbeddedPostgres({ dir, port });
    await ask(server.url, 'CREATE TABLE t (x int); INSERT INTO t VALUES (42)');
    process.kill(server.pid, 'SIGKILL');
    expect(await server.exited).toContain('SIGKILL');
    const again = await until('what it held comes free', () => startEmbeddedPostgres({ dir, port }));
    expect(await ask(again.url, 'SELECT x FROM t')).toEqual([{ x: 42 }]);
    await again.stop();
  });

  it('is not held up by a pid file whose pid is used by something else now', async () => {
    await (await startEmbeddedPostgres({ dir, port })).stop();
    await writeFile(join(dir, 'data', 'postmaster.pid'), `${process.pid}\n/tmp/postgres/data\n`);
    await (await startEmbeddedPostgres({ dir, port })).stop();
  });

  it('refuses a folder that another process runs, and leaves that alone', async () => {
    const { main, ready } = runMain();
    const pid = await ready(1);
    await expect(startEmbeddedPostgres({ dir, port })).rejects.toThrow(
      `Process ${main.pid} already runs a Postgres`,
    );
    expect(await gone(pid)).toBe(false);
  });
});

describe('embedded-main', () => {
  it('starts Postgres again when that is killed', async () => {
    const { ready } = runMain();
    process.kill(await ready(1), 'SIGKILL');
    await ready(2);
    expect(await ask(await embeddedPostgresUrl({ dir, port }), 'SELECT 1 AS x')).toEqual([{ x: 1 }]);
  });

  it('takes Postgres with it when it is killed, and the next one goes on', async () => {
    const first = runMain();
    const pid = await first.ready(1);
    await ask(await embeddedPostgresUrl({ dir, port }), 'CREATE TABLE t (x int)');
    first.main.kill('SIGKILL');
    const second = runMain();
    await second.ready(1);
    expect(await gone(pid)).toBe(true);
    expect(await ask(await embeddedPostgresUrl({ dir, port }), 'SELECT x FROM t')).toEqual([]);
  });

  it('stops Postgres cleanly on SIGTERM, with clients connected', async () => {
    const { main, ready } = runMain();
    const pid = await ready(1);
    const client = new pg.Client({ connectionString: await embeddedPostgresUrl({ dir, port }) });
    client.on('error', () => {});
    await client.connect();
    main.kill('SIGTERM');
    const [code] = await once(main, 'exit');
    expect(code).toBe(0);
    expect(await gone(pid)).toBe(true);
    await expect(readFile(join(dir, 'data', 'postmaster.pid'))).rejects.toThrow(/ENOENT/);
    await client.end().catch(() => {});
  });
});
