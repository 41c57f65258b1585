import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Database, openDatabase } from '@rancher/db';
import { startPostgres, type TestServer } from '@rancher/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { hashSecret } from './auth/keys.ts';
import { bootstrap, loadMasterKey } from './bootstrap.ts';
import { loadServerTls } from './tls/server-tls.ts';

let postgres: TestServer;
let database: Database;
const homes: string[] = [];
let home: string;
beforeAll(async () => {
  postgres = await startPostgres();
  database = openDatabase({ url: postgres.url });
});
afterAll(async () => {
  await database?.close();
  await postgres?.stop();
  for (const dir of homes) await rm(dir, { recursive: true, force: true });
});
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'rancher-test-bootstrap-'));
  homes.push(home);
});

const options = () => ({
  home,
  masterKeyFile: join(home, 'master.key'),
  systemKeyFile: join(home, 'system.key'),
});
const read = async (name: string) => (await readFile(join(home, name), 'utf8')).trim();
const mode = async (name: string) => ((await stat(join(home, name))).mode & 0o777).toString(8);
const tokenRow = async () =>
  database.prisma.registrationToken.findUniqueOrThrow({
    where: { tokenHash: hashSecret(await read('machine.token')) },
  });

describe('bootstrap', () => {
  it('makes keys in files that only their owner can read, and rows for them', async () => {
    await bootstrap(database.prisma, options());
    for (const name of ['admin.key', 'system.key', 'machine.token']) expect(await mode(name)).toBe('600');
    const row = await database.prisma.apiKey.findUniqueOrThrow({
      where: { keyHash: hashSecret(await read('admin.key')) },
    });
    expect(row).toMatchObject({ role: 'admin', environmentId: null });
  });

  it('changes nothing the second time, and mends what is missing', async () => {
    await bootstrap(database.prisma, options());
    const before = [await read('admin.key'), await read('system.key'), await read('machine.token')];
    await bootstrap(database.prisma, options());
    await Promise.all([bootstrap(database.prisma, options()), bootstrap(database.prisma, options())]);
    expect([await read('admin.key'), await read('system.key'), await read('machine.token')]).toEqual(before);
    await database.prisma.apiKey.deleteMany({ where: { keyHash: hashSecret(before[0]!) } });
    await bootstrap(database.prisma, options());
    expect(await database.prisma.apiKey.count({ where: { keyHash: hashSecret(before[0]!) } })).toBe(1);
  });

  it("makes a new machine's token when the old one is of no use, unless its machine has joined", async () => {
    await bootstrap(database.prisma, options());
    const first = await read('machine.token');
    await database.prisma.registrationToken.update({
      where: { id: (await tokenRow()).id },
      data: { expiresAt: new Date(0) },
    });
    await bootstrap(database.prisma, options());
    const second = await read('machine.token');
    expect(second).not.toBe(first);
    const host = await database.prisma.host.create({
      data: { id: 'host_machine', name: 'machine', kind: 'machine' },
    });
    await database.prisma.registrationToken.update({
      where: { id: (await tokenRow()).id },
      data: { uses: 1, hostId: host.id },
    });
    await bootstrap(database.prisma, options());
    expect(await read('machine.token')).toBe(second);
    await database.prisma.host.update({ where: { id: host.id }, data: { removedAt: new Date() } });
    await bootstrap(database.prisma, options());
    expect(await read('machine.token')).not.toBe(second);
  });
});

describe('loadMasterKey', () => {
  it('makes one of 32 bytes once, also when several ask at the same time', async () => {
    const file = join(home, 'deep', 'master.key');
    const keys = await Promise.all([1, 2, 3, 4].map(() => loadMasterKey(file)));
    expect(new Set(keys.map(String)).size).toBe(1);
    expect(keys[0]).toHaveLength(32);
    expect(await mode('deep/master.key')).toBe('600');
  });

  it('refuses a file that holds something else', async () => {
    await writeFile(join(home, 'master.key'), 'short');
    await expect(loadMasterKey(join(home, 'master.key'))).rejects.toThrow(/64 hex digits/);
  });
});

describe('loadServerTls', () => {
  const masterKey = Buffer.alloc(32, 1);

  it('keeps the certificate, and makes another under the same authority when the names change', async () => {
    const load = (names: string[]) => loadServerTls(database.prisma, { masterKey, home, names });
    const first = await load(['10.0.0.1']);
    expect(await load(['10.0.0.1'])).toEqual(first);
    const second = await load(['10.0.0.2', 'rancher.example']);
    expect(second.caPem).toBe(first.caPem);
    expect(second.certificatePem).not.toBe(first.certificatePem);
    expect(await mode('tls/server.key')).toBe('600');
    expect(await read('tls/ca.pem')).toBe(first.caPem.trim());
  });

  it('replicas that start at once share one authority, which is sealed at rest', async () => {
    await database.prisma.setting.deleteMany({});
    const replicas = await Promise.all(
      [1, 2, 3].map(async () => {
        const dir = await mkdtemp(join(tmpdir(), 'rancher-test-bootstrap-'));
        homes.push(dir);
        return loadServerTls(database.prisma, { masterKey, home: dir, names: [] });
      }),
    );
    expect(new Set(replicas.map((r) => r.caSha256)).size).toBe(1);
    const row = await database.prisma.setting.findFirstOrThrow({});
    expect(row.value).toBeNull();
    expect(Buffer.from(row.ciphertext!).toString('latin1')).not.toContain('PRIVATE KEY');
  });
});
