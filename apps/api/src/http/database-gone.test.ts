import { openDatabase } from '@rancher/db';
import { freePort, startPostgres } from '@rancher/testing';
import { expect, it } from 'vitest';
import { databaseIsGone } from './database-gone.ts';

it('knows a server that does not listen, and one that stops and starts, from a query that is wrong', async () => {
  const nowhere = openDatabase({ url: `postgres://x:x@127.0.0.1:${await freePort()}/x` });
  await expect(nowhere.prisma.host.findMany()).rejects.toSatisfy(databaseIsGone);
  await nowhere.close();

  const postgres = await startPostgres();
  const { prisma, close } = openDatabase({ url: postgres.url });
  try {
    await expect(prisma.$queryRaw`SELECT nonsense`).rejects.not.toSatisfy(databaseIsGone);
    const id = 'host_twice';
    await prisma.host.create({ data: { id, name: 'a', kind: 'machine' } });
    await expect(prisma.host.create({ data: { id, name: 'b', kind: 'machine' } })).rejects.not.toSatisfy(
      databaseIsGone,
    );
    // Every error between the kill and the first answer says that it is away.
    await postgres.kill();
    const back = postgres.resume();
    for (let answered = false; !answered; ) {
      try {
        await prisma.host.findMany();
        answered = true;
      } catch (error) {
        expect(error).toSatisfy(databaseIsGone);
      }
    }
    await back;
  } finally {
    await close();
    await postgres.stop();
  }
});

it('survives errors of every form', () => {
  const loop: { cause?: unknown } = {};
  loop.cause = loop;
  for (const error of [undefined, null, 'text', 5, {}, loop, new Error('no')])
    expect(databaseIsGone(error)).toBe(false);
  expect(databaseIsGone({ meta: { driverAdapterError: { cause: { originalCode: '57P03' } } } })).toBe(true);
});
