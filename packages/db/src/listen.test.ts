import { startPostgres, type TestServer } from '@rancher/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listen, notify } from './listen.ts';
import { type Database, openDatabase } from './open.ts';

let server: TestServer;
let db: Database;

beforeAll(async () => {
  server = await startPostgres({ migrated: false });
  db = openDatabase({ url: server.url });
});
afterAll(async () => {
  await db.close();
  await server.stop();
});

const within = { timeout: 20_000 };

describe('listen', () => {
  it('hears its channels and no others', async () => {
    const heard: string[] = [];
    const listener = await listen(server.url, ['rancher_plan', 'rancher_machine'], (channel, payload) =>
      heard.push(`${channel} ${payload}`),
    );
    await notify(db.prisma, 'rancher_other', 'x');
    await notify(db.prisma, 'rancher_plan', 'env_1');
    await notify(db.prisma, 'rancher_machine', 'host_1');
    await expect.poll(() => heard).toEqual(['rancher_plan env_1', 'rancher_machine host_1']);
    await listener.close();
    await notify(db.prisma, 'rancher_plan', 'after');
    expect(heard).toHaveLength(2);
  });

  it.each(['pause', 'kill'] as const)('says "look at everything" once it is back after a %s', async (how) => {
    const heard: string[] = [];
    const errors: string[] = [];
    const listener = await listen(
      server.url,
      ['rancher_plan', 'rancher_event'],
      (channel, payload) => heard.push(`${channel} ${payload}`),
      (error) => errors.push(error.message),
    );
    await server[how]();
    await expect.poll(() => errors.some((e) => e.includes('ECONNREFUSED')), within).toBe(true);
    expect(heard).toEqual([]);
    await server.resume();
    await expect.poll(() => heard, within).toEqual(['rancher_plan ', 'rancher_event ']);
    // The pool's idle connections broke too; the first query makes a new one.
    await notify(db.prisma, 'rancher_plan', 'env_2');
    await expect.poll(() => heard.at(-1)).toBe('rancher_plan env_2');
    await listener.close();
  });

  it('closes while the server is away', async () => {
    const listener = await listen(server.url, ['rancher_plan'], () => {});
    await server.pause();
    await listener.close();
    await server.resume();
  });

  it('fails at once when there is no server', async () => {
    await expect(listen('postgres://x:y@127.0.0.1:1/x', ['c'], () => {})).rejects.toThrow(/ECONNREFUSED/);
  });
});
