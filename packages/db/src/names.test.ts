import { startPostgres, type TestServer } from '@rancher/testing';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Database, openDatabase } from './open.ts';

let server: TestServer;
let db: Database;
beforeAll(async () => {
  server = await startPostgres();
  db = openDatabase({ url: server.url });
});
afterAll(async () => {
  await db.close();
  await server.stop();
});

const environment = (id: string, name: string) => ({
  id,
  name,
  kubernetesVersion: '1.37.2',
  podCidr: '10.42.0.0/16',
  serviceCidr: '10.43.0.0/16',
});

it('lets one living environment have a name', async () => {
  await db.prisma.environment.create({ data: environment('env_a', 'default') });
  const second = { data: environment('env_b', 'default') };
  await expect(db.prisma.environment.create(second)).rejects.toMatchObject({ code: 'P2002' });
  await db.prisma.environment.update({ where: { id: 'env_a' }, data: { removedAt: new Date() } });
  await db.prisma.environment.create(second);
});

it('lets one living host of an environment have a name', async () => {
  await db.prisma.environment.create({ data: environment('env_c', 'c') });
  await db.prisma.environment.create({ data: environment('env_d', 'd') });
  const host = (id: string, environmentId: string | null) => ({
    data: { id, environmentId, name: 'one', kind: 'local' },
  });
  await db.prisma.host.create(host('host_1', 'env_c'));
  await expect(db.prisma.host.create(host('host_2', 'env_c'))).rejects.toMatchObject({ code: 'P2002' });
  await db.prisma.host.create(host('host_3', 'env_d'));
  await db.prisma.host.update({ where: { id: 'host_1' }, data: { removedAt: new Date() } });
  await db.prisma.host.create(host('host_4', 'env_c'));
});

it('removes with an environment what is its own', async () => {
  await db.prisma.environment.delete({ where: { id: 'env_c' } });
  expect(await db.prisma.host.count({ where: { environmentId: 'env_c' } })).toBe(0);
});
