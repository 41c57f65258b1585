import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join as joinPath } from 'node:path';
import { createArtifactStore } from '@rancher/artifacts';
import { newId } from '@rancher/domain';
import { createAuthority, generateKeyPair, issueCertificate, sealSecret } from '@rancher/pki';
import { freePort, until } from '@rancher/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createRegistrationToken } from '../../../../intent/registration-tokens.ts';
import { dial, join, type TestAgent } from '../../../../testing/agent.ts';
import { type Harness, startHarness } from '../../../../testing/harness.ts';

let api: Harness;
let id: string;
/** The first is connected, the others are not. */
let hostIds: string[];
let agent: TestAgent;
const serving: { [target: string]: number } = {};
const processes: ChildProcess[] = [];

const store = createArtifactStore({ cacheDir: joinPath(homedir(), '.cache', 'rancher') });
const etcdHere = (await store.manifest({ name: 'etcd', version: '3.7.3' })) !== null;

beforeAll(async () => {
  api = await startHarness();
  id = (await api.call('POST', '/v1/environments', { body: { name: 'a' } })).body.target.id;
  const { token } = await api.database.prisma.$transaction((tx) =>
    createRegistrationToken(tx, { environmentId: id, description: '', maxUses: 3, expiresInSeconds: 60 }),
  );
  const joined = [];
  for (const name of ['h-1', 'h-2', 'h-3']) joined.push((await join(api, token, name)).body);
  hostIds = joined.map((j) => j.hostId);
  agent = await dial(api, joined[0], serving);
  agent.hello();
  await agent.hear('slice');
  await members();
});
afterEach(async () => {
  for (const child of processes.splice(0)) {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  api.context.upstreams.close();
});
afterAll(async () => {
  agent?.close();
  await api?.stop();
});

const recover = (
  body: object | undefined = {},
  { of = id, query = '', ...options }: { of?: string; query?: string; key?: string | null } = {},
) =>
  api.call('POST', `/v1/environments/${of}/actions/recoverEtcd${query}`, {
    ...(body === undefined ? {} : { body }),
    ...options,
  });
const prisma = () => api.database.prisma;

/** One member on each host, as they were before. */
async function members(): Promise<void> {
  await prisma().etcdMember.deleteMany({ where: { environmentId: id } });
  for (const [i, hostId] of hostIds.entries())
    await prisma().etcdMember.create({
      data: {
        ...{ id: newId('etcdMember'), environmentId: id, hostId, state: 'voter', voting: true },
        ...{
          dataDir: `/var/lib/etcd/${i}`,
          initialClusterState: 'new',
          reason: 'etcd begins with 3 members',
        },
        ...(i === 1 ? { appliedIndex: 100n, appliedAt: new Date(Date.now() - 5_000) } : {}),
      },
    });
}

/** A real member of as many: it has quorum alone, or waits for the others as one that was started after they were lost. */
async function startEtcd(voters: 1 | 3): Promise<void> {
  const authority = await createAuthority({ commonName: 'etcd' });
  const ciphertext = Uint8Array.from(sealSecret(api.context.masterKey, JSON.stringify(authority)));
  const key = { environmentId_name: { environmentId: id, name: 'ca/etcd' } };
  await prisma().environmentSecret.deleteMany({ where: key.environmentId_name });
  await prisma().environmentSecret.create({ data: { ...key.environmentId_name, ciphertext } });
  const keys = generateKeyPair();
  const { certificatePem } = await issueCertificate(authority, {
    ...{ publicKeyPem: keys.publicKeyPem, commonName: 'localhost', dnsNames: ['localhost'] },
    usages: ['server', 'client'],
  });
  const dir = joinPath(api.home, `etcd-${voters}`);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const pems = { cert: certificatePem, key: keys.privateKeyPem, ca: authority.certificatePem };
  for (const [name, content] of Object.entries(pems)) await writeFile(joinPath(dir, name), content);
  const peers = await Promise.all([1, 2, 3].map(async () => `http://127.0.0.1:${await freePort()}`));
  Object.assign(serving, { etcd: await freePort(), 'etcd-metrics': await freePort() });
  const flags = {
    name: 'h-1',
    'data-dir': joinPath(dir, 'data'),
    'listen-client-urls': `https://127.0.0.1:${serving.etcd}`,
    'advertise-client-urls': `https://127.0.0.1:${serving.etcd}`,
    'listen-metrics-urls': `http://127.0.0.1:${serving['etcd-metrics']}`,
    'listen-peer-urls': peers[0]!,
    'initial-advertise-peer-urls': peers[0]!,
    'initial-cluster': peers
      .slice(0, voters)
      .map((url, i) => `h-${i + 1}=${url}`)
      .join(),
    ...{
      'cert-file': joinPath(dir, 'cert'),
      'key-file': joinPath(dir, 'key'),
      'trusted-ca-file': joinPath(dir, 'ca'),
    },
    ...{ 'client-cert-auth': 'true', 'unsafe-no-fsync': 'true' },
  };
  const args = Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
  const child = spawn(store.filePath({ name: 'etcd', version: '3.7.3' }, 'etcd'), args, { stdio: 'ignore' });
  processes.push(child);
  await once(child, 'spawn');
  await until('it tells its metrics', async () => {
    const metrics = await fetch(`http://127.0.0.1:${serving['etcd-metrics']}/metrics`).catch(() => null);
    return (await metrics?.text())?.includes(`etcd_server_has_leader ${voters === 1 ? 1 : 0}`);
  });
}

it('401, 403, 404; 400 for what it does not know', async () => {
  expect((await recover({}, { key: null })).status).toBe(401);
  expect((await recover({}, { key: api.keys.readOnly })).status).toBe(403);
  expect((await recover({}, { of: 'env_none' })).status).toBe(404);
  const other = await api.newKey('admin', newId('environment'));
  expect((await recover({}, { key: other })).status).toBe(404);
  expect((await recover({ force: true })).body).toMatchObject({ status: 400, code: 'unknown_field' });
});

it('409 while no member answers, by dry run too', async () => {
  for (const query of ['', '?dryRun=true'])
    expect((await recover({}, { query })).body).toMatchObject({
      ...{ status: 409, code: 'conflict' },
      detail: expect.stringContaining('No member of etcd answers (h-1, h-2 and h-3)'),
    });
});

it('409 while the environment is deactivated', async () => {
  await prisma().environment.update({ where: { id }, data: { desiredState: 'inactive' } });
  expect((await recover()).body).toMatchObject({
    status: 409,
    detail: expect.stringContaining('deactivated'),
  });
  await prisma().environment.update({ where: { id }, data: { desiredState: 'active' } });
});

describe.skipIf(!etcdHere)('with a member that answers', () => {
  it('409 while it knows a leader', async () => {
    await startEtcd(1);
    expect((await recover()).body).toMatchObject({
      ...{ status: 409, code: 'conflict' },
      detail: expect.stringContaining('has not lost quorum: h-1 knows a leader'),
    });
  });

  it('409 while other hosts reach as many of the silent as have quorum', async () => {
    await startEtcd(3);
    const reachable = {
      type: 'Reachable',
      status: 'True',
      reason: 'SeenByPeers',
      message: '',
      seenBy: ['h-1'],
    };
    const silent = { id: { in: hostIds.slice(1) } };
    const conditions = [{ ...reachable, lastTransitionTime: new Date().toISOString() }];
    await prisma().host.updateMany({ where: silent, data: { state: 'disconnected', conditions } });
    expect((await recover()).body).toMatchObject({
      ...{ status: 409, code: 'conflict' },
      detail: expect.stringContaining('Other hosts reach h-2 and h-3'),
    });
    await prisma().host.updateMany({ where: silent, data: { conditions: [] } });
  });

  it('400 for a host without a member, 409 for one whose member does not answer', async () => {
    await startEtcd(3);
    expect((await recover({ hostId: 'host_none' })).body).toMatchObject({
      ...{ status: 400, code: 'invalid_value', pointer: '/hostId' },
    });
    expect((await recover({ hostId: hostIds[1] })).body).toMatchObject({
      ...{ status: 409, code: 'conflict', detail: 'The member of etcd on h-2 does not answer.' },
    });
  });

  it('200: a dry run says who would survive and what may be lost, and changes nothing', async () => {
    await startEtcd(3);
    const before = await prisma().etcdMember.findMany({ where: { environmentId: id } });
    const answer = await recover({}, { query: '?dryRun=true' });
    expect(answer.status, answer.text).toBe(200);
    expect(answer.body).toMatchObject({
      kind: 'EtcdRecoveryPreview',
      survivor: { hostId: hostIds[0], host: 'h-1', appliedIndex: 3 },
      members: [
        { host: 'h-1', answers: true, appliedIndex: 3 },
        { host: 'h-2', answers: false, appliedIndex: 100 },
        { host: 'h-3', answers: false, appliedIndex: null, appliedAt: null },
      ],
    });
    expect(answer.body.message).toMatch(/H-2 was last asked \d+ s ago, and held 97 changes that h-1 has not/);
    expect(answer.body.message).toContain('what h-3 holds is not known');
    expect(await prisma().etcdMember.findMany({ where: { environmentId: id } })).toEqual(before);
  });

  it('202: the survivor is the only member, made from what it held; asked for again, it is the same', async () => {
    await startEtcd(3);
    const [first, second] = await Promise.all([recover(undefined), recover({ hostId: hostIds[0] })]);
    expect(first.status, first.text).toBe(202);
    expect(second.body.id).toBe(first.body.id);
    expect(first.headers.location).toBe(`/v1/operations/${first.body.id}`);
    expect(first.body).toMatchObject({
      type: 'environment.recoverEtcd',
      status: { details: { survivor: { host: 'h-1' } } },
    });
    expect(first.body.status.steps.map((s: { name: string }) => s.name)).toEqual([
      'recover-etcd',
      'control-plane',
      'api-server',
    ]);
    const rows = await prisma().etcdMember.findMany({ where: { environmentId: id } });
    expect(rows).toMatchObject([
      {
        hostId: hostIds[0],
        state: 'voter',
        voting: true,
        recoveredFrom: '/var/lib/etcd/0',
        initialClusterState: 'existing',
      },
    ]);
    expect(rows[0]!.dataDir).toBe(`/var/lib/etcd/${rows[0]!.id}`);
    const row = await prisma().environment.findUniqueOrThrow({ where: { id } });
    expect(row.etcdRecovery).toBe(rows[0]!.id);
    expect((await recover()).body.id).toBe(first.body.id);
    const events = (await api.call('GET', `/v1/environments/${id}/events`)).body.items;
    expect(events[0]).toMatchObject({ reason: 'OperationStarted', type: 'Warning' });
  });
});

it('409 while it is being removed', async () => {
  await api.call('DELETE', `/v1/environments/${id}`);
  expect((await recover()).body).toMatchObject({ status: 409, code: 'conflict' });
});
