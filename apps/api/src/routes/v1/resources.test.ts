import { newId } from '@rancher/domain';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRegistrationToken } from '../../intent/registration-tokens.ts';
import { join } from '../../testing/agent.ts';
import { type Harness, startHarness } from '../../testing/harness.ts';

let api: Harness;
let a: string;
let b: string;
let machineId: string;
beforeAll(async () => {
  api = await startHarness();
  a = (await api.call('POST', '/v1/environments', { body: { name: 'a' } })).body.target.id;
  b = (await api.call('POST', '/v1/environments', { body: { name: 'b' } })).body.target.id;
  const { token } = await api.database.prisma.$transaction((tx) =>
    createRegistrationToken(tx, { environmentId: null, description: '', maxUses: 1, expiresInSeconds: 60 }),
  );
  machineId = (await join(api, token, 'machine', { localHosts: true })).body.hostId;
});
afterAll(() => api?.stop());

async function host(environmentId = a): Promise<{ id: string; etag: string }> {
  const answer = await api.call('POST', `/v1/environments/${environmentId}/hosts`, {
    body: { kind: 'local' },
  });
  expect(answer.status, answer.text).toBe(202);
  const id = answer.body.target.id as string;
  return { id, etag: String((await api.call('GET', `/v1/hosts/${id}`)).headers.etag) };
}

describe('POST /v1/environments/:id/hosts', () => {
  it('202: with the next name, on a machine', async () => {
    const first = await api.call('POST', `/v1/environments/${b}/hosts`, { body: { kind: 'local' } });
    const second = await api.call('POST', `/v1/environments/${b}/hosts`, {
      body: { kind: 'local', labels: { etcd: 'true' }, network: 'rack-2' },
    });
    expect([first.body.target.name, second.body.target.name]).toEqual(['b-1', 'b-2']);
    expect(first.body).toMatchObject({ kind: 'Operation', type: 'host.create', target: { kind: 'Host' } });
    const made = await api.call('GET', `/v1/hosts/${second.body.target.id}`);
    expect(made.body).toMatchObject({
      kind: 'Host',
      environmentId: b,
      labels: { etcd: 'true' },
      spec: { kind: 'local', machineId, network: 'rack-2', desiredState: 'active' },
      status: { state: 'registering', connected: false },
    });
  });

  it('200: a dry run adds nothing', async () => {
    const before = (await api.call('GET', `/v1/environments/${a}/hosts`)).body.items.length;
    const answer = await api.call('POST', `/v1/environments/${a}/hosts?dryRun=true`, {
      body: { kind: 'local' },
    });
    expect(answer.status, answer.text).toBe(200);
    expect(answer.body.kind).toBe('DryRunResult');
    expect((await api.call('GET', `/v1/environments/${a}/hosts`)).body.items).toHaveLength(before);
  });

  it.each([
    ['unknown kind', { kind: 'machine' }, 'invalid_value', '/kind'],
    ['bad network', { kind: 'local', network: 'Rack 2' }, 'invalid_value', '/network'],
    ['no kind', {}, 'invalid_request', '/kind'],
    ['unknown field', { kind: 'local', size: 3 }, 'unknown_field', '/size'],
    ['bad name', { kind: 'local', name: '-' }, 'invalid_value', '/name'],
  ])('400: %s', async (_name, body, code, pointer) => {
    const answer = await api.call('POST', `/v1/environments/${a}/hosts`, { body });
    expect(answer.body).toMatchObject({ status: 400, code, pointer });
  });

  it('400: no room left for its pods', async () => {
    const made = await api.call('POST', '/v1/environments', {
      body: { name: 'full', spec: { podCidr: '10.42.0.0/20', hosts: { local: 16 } } },
    });
    const answer = await api.call('POST', `/v1/environments/${made.body.target.id}/hosts`, {
      body: { kind: 'local' },
    });
    expect(answer.body).toMatchObject({ status: 400, code: 'cidr_too_small' });
  });

  it('404, and 409 for a name that is taken', async () => {
    const none = await api.call('POST', '/v1/environments/env_none/hosts', { body: { kind: 'local' } });
    expect(none.status).toBe(404);
    await api.call('POST', `/v1/environments/${a}/hosts`, { body: { kind: 'local', name: 'mine' } });
    const taken = await api.call('POST', `/v1/environments/${a}/hosts`, {
      body: { kind: 'local', name: 'mine' },
    });
    expect(taken.body).toMatchObject({ status: 409, code: 'name_taken', pointer: '/name' });
  });
});

describe('GET /v1/hosts', () => {
  it('200: filters by environment, kind, machine and label', async () => {
    const { id, etag } = await host();
    await api.call('PATCH', `/v1/hosts/${id}`, {
      body: { labels: { rack: 'r1' } },
      headers: { 'if-match': etag },
    });
    const ids = async (query: string) =>
      (await api.call('GET', `/v1/hosts?${query}`)).body.items.map((h: { id: string }) => h.id);
    expect(await ids(`environmentId=${a}&labelSelector=rack%3Dr1`)).toEqual([id]);
    expect(await ids('kind=machine')).toEqual([machineId]);
    expect(await ids(`machineId=${machineId}&environmentId=${a}`)).toContain(id);
    expect(await ids('state=removed')).toEqual([]);
  });

  it('200: a key of one environment sees no machine and no other host', async () => {
    const { id } = await host(a);
    const key = await api.newKey('admin', b);
    const list = await api.call('GET', '/v1/hosts', { key });
    expect(list.body.items.every((h: { environmentId: string }) => h.environmentId === b)).toBe(true);
    for (const hidden of [id, machineId]) {
      expect((await api.call('GET', `/v1/hosts/${hidden}`, { key })).status).toBe(404);
      expect((await api.call('DELETE', `/v1/hosts/${hidden}`, { key })).status).toBe(404);
    }
  });
});

describe('PATCH /v1/hosts/:id', () => {
  it('200, 412, 428, 400, 404', async () => {
    const { id, etag } = await host();
    const patch = (body: object, headers: Record<string, string>) =>
      api.call('PATCH', `/v1/hosts/${id}`, { body, headers });
    const changed = await patch({ labels: { x: 'y' } }, { 'if-match': etag });
    expect(changed.body, changed.text).toMatchObject({ labels: { x: 'y' }, generation: 2 });
    expect((await patch({ labels: {} }, { 'if-match': etag })).body).toMatchObject({
      status: 412,
      code: 'stale_etag',
    });
    expect((await patch({ labels: {} }, {})).body).toMatchObject({
      status: 428,
      code: 'precondition_required',
    });
    const unknown = await patch({ name: 'n' }, { 'if-match': '*' });
    expect(unknown.body).toMatchObject({ status: 400, code: 'unknown_field', pointer: '/name' });
    const none = await api.call('PATCH', '/v1/hosts/host_none', { body: {}, headers: { 'if-match': '*' } });
    expect(none.status).toBe(404);
  });
});

describe('DELETE /v1/hosts/:id', () => {
  it('202: and again the same operation', async () => {
    const { id } = await host();
    const first = await api.call('DELETE', `/v1/hosts/${id}`);
    expect(first.status, first.text).toBe(202);
    expect(first.body).toMatchObject({ type: 'host.remove', target: { id } });
    expect((await api.call('DELETE', `/v1/hosts/${id}`)).body.id).toBe(first.body.id);
    const left = await api.call('GET', `/v1/hosts/${id}`);
    expect(left.body).toMatchObject({ spec: { desiredState: 'removed' }, generation: 2 });
  });

  it('200: a dry run removes nothing', async () => {
    const { id } = await host();
    const answer = await api.call('DELETE', `/v1/hosts/${id}?dryRun=true`);
    expect(answer.status, answer.text).toBe(200);
    expect((await api.call('GET', `/v1/hosts/${id}`)).body.spec.desiredState).toBe('active');
  });

  it('409: the only etcd member, and a machine that has local hosts; 412; 404', async () => {
    const { id } = await host();
    const { prisma } = api.database;
    const service = await prisma.service.findFirstOrThrow({ where: { environmentId: a, name: 'etcd' } });
    await prisma.instance.create({
      data: {
        id: newId('instance'),
        environmentId: a,
        serviceId: service.id,
        service: 'etcd',
        hostId: id,
        specHash: '',
        planGeneration: 1,
        reason: '',
      },
    });
    for (const kept of [id, machineId]) {
      expect((await api.call('DELETE', `/v1/hosts/${kept}`)).body).toMatchObject({
        status: 409,
        code: 'conflict',
      });
    }
    const stale = await api.call('DELETE', `/v1/hosts/${id}`, { headers: { 'if-match': '"0"' } });
    expect(stale.body).toMatchObject({ status: 412, code: 'stale_etag' });
    expect((await api.call('DELETE', '/v1/hosts/host_none')).status).toBe(404);
  });
});

describe('/v1/registrationTokens', () => {
  it('201: the secret is shown once, with the command to run', async () => {
    const made = await api.call('POST', '/v1/registrationTokens', {
      body: { environmentId: a, description: 'rack 1', maxUses: 3, expiresInSeconds: 60 },
    });
    expect(made.status, made.text).toBe(201);
    expect(made.body.token).toMatch(/^rt_[a-z2-7]{32}$/);
    expect(made.body.command).toContain(`--token ${made.body.token}`);
    expect(made.body.command).toContain('/v1/agent/install.sh');
    const read = await api.call('GET', `/v1/registrationTokens/${made.body.id}`);
    expect(read.text).not.toContain(made.body.token);
    expect(read.body).toMatchObject({
      environmentId: a,
      spec: { maxUses: 3 },
      status: { state: 'active', uses: 0 },
    });
  });

  it('201: a replay shows the same secret, which is not readable at rest', async () => {
    const post = () =>
      api.call('POST', '/v1/registrationTokens', { body: {}, headers: { 'idempotency-key': 'k' } });
    const first = await post();
    expect((await post()).body.token).toBe(first.body.token);
    const rows = await api.database.prisma.idempotencyKey.findMany();
    expect(JSON.stringify(rows)).not.toContain(first.body.token);
  });

  it('400, 404, 409', async () => {
    const post = (body: object) => api.call('POST', '/v1/registrationTokens', { body });
    expect((await post({ maxUses: 0 })).body).toMatchObject({ status: 400, pointer: '/maxUses' });
    expect((await post({ uses: 1 })).body).toMatchObject({ status: 400, code: 'unknown_field' });
    expect((await post({ environmentId: 'env_none' })).status).toBe(404);
    expect((await api.call('DELETE', '/v1/registrationTokens/token_none')).status).toBe(404);
    const gone = (await api.call('POST', '/v1/environments', { body: { name: 'gone' } })).body.target.id;
    await api.call('DELETE', `/v1/environments/${gone}`);
    expect((await post({ environmentId: gone })).body).toMatchObject({ status: 409, code: 'conflict' });
  });

  it('204: revoked', async () => {
    const made = await api.call('POST', '/v1/registrationTokens', { body: {} });
    expect((await api.call('DELETE', `/v1/registrationTokens/${made.body.id}`)).status).toBe(204);
    const read = await api.call('GET', `/v1/registrationTokens/${made.body.id}`);
    expect(read.body.status.state).toBe('revoked');
  });
});

describe('/v1/apiKeys', () => {
  it('201, then 204: works until it is revoked, at once', async () => {
    const made = await api.call('POST', '/v1/apiKeys', {
      body: { name: 'ci', role: 'read-only', environmentId: a },
    });
    expect(made.status, made.text).toBe(201);
    const { key } = made.body;
    expect((await api.call('GET', '/v1/environments', { key })).body.items).toHaveLength(1);
    const read = await api.call('GET', `/v1/apiKeys/${made.body.id}`);
    expect(read.text).not.toContain(key);
    expect(read.body).toMatchObject({ name: 'ci', spec: { role: 'read-only' }, status: { state: 'active' } });
    expect(key.startsWith(read.body.status.prefix.replace('…', ''))).toBe(true);
    expect((await api.call('DELETE', `/v1/apiKeys/${made.body.id}`)).status).toBe(204);
    expect((await api.call('GET', '/v1/environments', { key })).status).toBe(401);
  });

  it('201: a key of one environment makes keys of that one, and sees no other', async () => {
    const key = await api.newKey('admin', a);
    const made = await api.call('POST', '/v1/apiKeys', { key, body: { name: 'mine', role: 'admin' } });
    expect(made.body.environmentId).toBe(a);
    const elsewhere = await api.call('POST', '/v1/apiKeys', {
      key,
      body: { name: 'x', role: 'admin', environmentId: b },
    });
    expect(elsewhere.status).toBe(404);
    const everywhere = await api.call('POST', '/v1/apiKeys', {
      key,
      body: { name: 'x', role: 'admin', environmentId: null },
    });
    expect(everywhere.body.environmentId).toBe(a);
    const list = await api.call('GET', '/v1/apiKeys', { key });
    expect(list.body.items.every((k: { environmentId: string }) => k.environmentId === a)).toBe(true);
  });

  it('401: an expired one', async () => {
    const made = await api.call('POST', '/v1/apiKeys', {
      body: { name: 'short', role: 'admin', expiresAt: new Date(Date.now() + 3_600_000).toISOString() },
    });
    await api.database.prisma.apiKey.update({
      where: { id: made.body.id },
      data: { expiresAt: new Date(0) },
    });
    expect((await api.call('GET', '/v1/versions', { key: made.body.key })).status).toBe(401);
  });

  it.each([
    ['no role', { name: 'x' }, 'invalid_request', '/role'],
    ['the role of the system', { name: 'x', role: 'system' }, 'invalid_value', '/role'],
    [
      'an end in the past',
      { name: 'x', role: 'admin', expiresAt: '2020-01-01T00:00:00Z' },
      'invalid_value',
      '/expiresAt',
    ],
    ['no date', { name: 'x', role: 'admin', expiresAt: 'soon' }, 'invalid_value', '/expiresAt'],
  ])('400: %s', async (_name, body, code, pointer) => {
    expect((await api.call('POST', '/v1/apiKeys', { body })).body).toMatchObject({
      status: 400,
      code,
      pointer,
    });
  });

  it('404', async () => {
    expect((await api.call('DELETE', '/v1/apiKeys/key_none')).status).toBe(404);
  });
});

describe('plans, operations, instances, versions', () => {
  it('200: a plan with its actions and reasons, and whether it is the target', async () => {
    const { prisma } = api.database;
    const action = {
      kind: 'create',
      service: 'etcd',
      hostId: 'host_1',
      instanceId: 'ins_1',
      reason: 'It is missing',
    };
    for (const generation of [101, 102]) {
      await prisma.plan.create({
        data: {
          id: `plan_${generation}`,
          environmentId: a,
          generation,
          instances: [],
          actions: [action],
          failures: {},
        },
      });
    }
    await prisma.environment.update({ where: { id: a }, data: { targetPlanId: 'plan_102' } });
    const list = await api.call('GET', `/v1/environments/${a}/plans?pageSize=2`);
    expect(list.body.items).toMatchObject([
      { id: 'plan_102', status: { target: true }, spec: { actions: [action] } },
      { id: 'plan_101', status: { target: false } },
    ]);
    const key = await api.newKey('read-only', b);
    expect((await api.call('GET', '/v1/plans/plan_102', { key })).status).toBe(404);
  });

  it('200: operations by type and state', async () => {
    const list = await api.call('GET', '/v1/operations?type=environment.create&state=pending');
    expect(list.body.items.length).toBeGreaterThan(0);
    const steps = list.body.items[0].status.steps;
    expect(steps.every((s: { name: string }) => s.name.length > 0)).toBe(true);
  });

  it('200: instances that are gone only when asked for', async () => {
    const { prisma } = api.database;
    const service = await prisma.service.findFirstOrThrow({ where: { environmentId: b, name: 'etcd' } });
    const { id: hostId } = await host(b);
    const common = {
      environmentId: b,
      serviceId: service.id,
      service: 'etcd',
      hostId,
      specHash: '',
      reason: '',
    };
    await prisma.instance.createMany({
      data: [
        { ...common, id: 'ins_live', planGeneration: 2, logTail: ['last words'] },
        { ...common, id: 'ins_gone', planGeneration: 1, state: 'removed', removedAt: new Date() },
      ],
    });
    const ids = async (query: string) =>
      (await api.call('GET', `/v1/instances?${query}`)).body.items.map((i: { id: string }) => i.id);
    expect(await ids(`environmentId=${b}&service=etcd`)).toEqual(['ins_live']);
    expect((await ids(`hostId=${hostId}&removed=true`)).sort()).toEqual(['ins_gone', 'ins_live']);
    const log = await api.call('GET', '/v1/instances/ins_live/log');
    expect(log.body).toEqual({
      kind: 'InstanceLog',
      instanceId: 'ins_live',
      source: 'stored',
      lines: ['last words'],
    });
  });

  it('200: versions, one of them the default', async () => {
    const { body } = await api.call('GET', '/v1/versions');
    expect(body.items.filter((v: { default: boolean }) => v.default)).toHaveLength(1);
    expect(body.items.map((v: { name: string }) => v.name)).toEqual(
      expect.arrayContaining(['1.36.3', '1.37.2']),
    );
  });
});
