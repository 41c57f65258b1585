import { newId } from '@rancher/domain';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRegistrationToken } from '../../../../intent/registration-tokens.ts';
import { dial, join, type TestAgent } from '../../../../testing/agent.ts';
import { type Harness, startHarness } from '../../../../testing/harness.ts';

let api: Harness;
let environmentId: string;
let machine: TestAgent;
beforeAll(async () => {
  api = await startHarness();
  const { token } = await api.database.prisma.$transaction((tx) =>
    createRegistrationToken(tx, { environmentId: null, description: '', maxUses: 1, expiresInSeconds: 60 }),
  );
  const joined = (await join(api, token, 'machine', { localHosts: true })).body;
  machine = await dial(api, joined);
  machine.hello(undefined, { localHosts: true });
  await machine.hear('welcome');
  environmentId = (await api.call('POST', '/v1/environments', { body: { name: 'a' } })).body.target.id;
});
afterAll(async () => {
  machine?.close();
  await api?.stop();
});

async function localHost(): Promise<string> {
  const answer = await api.call('POST', `/v1/environments/${environmentId}/hosts`, {
    body: { kind: 'local' },
  });
  expect(answer.status, answer.text).toBe(202);
  return answer.body.target.id;
}

/** A machine of its own that joined the environment, with a kubelet. */
async function member(state = 'active'): Promise<string> {
  const { prisma } = api.database;
  const id = newId('host');
  await prisma.host.create({
    data: { id, environmentId, name: id.replaceAll('_', '-'), kind: 'machine', state },
  });
  const service = await prisma.service.findFirstOrThrow({ where: { environmentId, name: 'kubelet' } });
  await prisma.instance.create({
    data: {
      ...{ id: newId('instance'), environmentId, hostId: id, serviceId: service.id, service: 'kubelet' },
      ...{ specHash: 'x', planGeneration: 1, reason: 'a test' },
    },
  });
  return id;
}

async function setActive(active: boolean): Promise<void> {
  const activeAt = active ? new Date() : null;
  await api.database.prisma.environment.update({ where: { id: environmentId }, data: { activeAt } });
}

const act = (hostId: string, action: string, options = {}) =>
  api.call('POST', `/v1/hosts/${hostId}/actions/${action}`, options);

describe.each([
  ['powerOff', undefined],
  ['powerOn', undefined],
  ['cordon', undefined],
  ['uncordon', undefined],
  ['drain', {}],
  ['evacuate', {}],
])('POST /v1/hosts/:id/actions/%s', (action, body) => {
  it('401, 403, 404: only who may change the environment', async () => {
    const id = await localHost();
    const other = await api.newKey('admin', newId('environment'));
    expect((await act(id, action, { body, key: null })).status).toBe(401);
    expect((await act(id, action, { body, key: api.keys.readOnly })).status).toBe(403);
    expect((await act(id, action, { body, key: other })).status).toBe(404);
    expect((await act('host_none', action, { body })).status).toBe(404);
  });

  it('409: a host that is being removed', async () => {
    const id = await localHost();
    await api.call('DELETE', `/v1/hosts/${id}`);
    expect((await act(id, action, { body })).body).toMatchObject({ status: 409, code: 'conflict' });
  });

  it('422: a machine that is of no environment', async () => {
    expect((await act(machine.hostId, action, { body })).body).toMatchObject({
      status: 422,
      code: 'wrong_host_kind',
    });
  });
});

describe.each(['powerOff', 'powerOn'])('POST /v1/hosts/:id/actions/%s', (action) => {
  it('422: a machine has a switch of its own', async () => {
    expect((await act(await member(), action)).body).toMatchObject({ status: 422, code: 'wrong_host_kind' });
  });
});

describe.each([
  ['cordon', undefined, { unschedulable: true }],
  ['uncordon', undefined, { unschedulable: false, evacuated: false }],
  ['drain', { deadlineSeconds: 5, force: true }, { unschedulable: true }],
  ['evacuate', { gracePeriodSeconds: 0, deleteEmptyDirData: true }, { unschedulable: true }],
])('POST /v1/hosts/:id/actions/%s', (action, body, spec) => {
  it('409: while there is no cluster; then 202, and asked twice it is one operation', async () => {
    const [id] = [await member(), await member()];
    await setActive(false);
    expect((await act(id, action, { body })).body).toMatchObject({ status: 409, code: 'conflict' });
    await setActive(true);
    const answer = await act(id, action, { body });
    expect(answer.status, answer.text).toBe(202);
    expect(answer.body).toMatchObject({ type: `host.${action}`, target: { kind: 'Host', id } });
    expect((await act(id, action, { body })).body.id).toBe(answer.body.id);
    const row = await api.database.prisma.operation.findUniqueOrThrow({ where: { id: answer.body.id } });
    expect(row.options).toEqual(body ?? {});
    expect((await api.call('GET', `/v1/hosts/${id}`)).body.spec).toMatchObject(spec);
  });
});

describe('drain', () => {
  it.each([
    ['an unknown field', { now: true }, 'unknown_field', '/now'],
    ['no time', { deadlineSeconds: 0 }, 'invalid_value', '/deadlineSeconds'],
    ['no number', { gracePeriodSeconds: 'long' }, 'invalid_value', '/gracePeriodSeconds'],
  ])('400: %s', async (_name, body, code, pointer) => {
    const answer = await act(await member(), 'drain', { body });
    expect(answer.body, answer.text).toMatchObject({ status: 400, pointer });
    expect([code, 'invalid_request']).toContain(answer.body.code);
  });
});

describe('evacuate', () => {
  it('409: there is nowhere to go', async () => {
    const id = await member();
    await setActive(true);
    const others = { environmentId, id: { not: id } };
    await api.database.prisma.host.updateMany({ where: others, data: { state: 'disconnected' } });
    const answer = await act(id, 'evacuate', { body: {} });
    expect(answer.body).toMatchObject({ status: 409, detail: expect.stringContaining('no other host') });
  });
});

describe('DELETE /v1/hosts/:id', () => {
  it('202: a Node is drained first, and stays wanted until then', async () => {
    await setActive(true);
    const id = await member();
    const answer = await api.call('DELETE', `/v1/hosts/${id}?deadlineSeconds=30`);
    expect(answer.status, answer.text).toBe(202);
    expect(answer.body.status.steps.map((s: { name: string }) => s.name)).toContain('evict-pods');
    const { spec } = (await api.call('GET', `/v1/hosts/${id}`)).body;
    expect(spec).toMatchObject({ desiredState: 'active', unschedulable: true });
  });

  it.each([
    ['by force', '?force=true', 'active'],
    ['when it cannot be seen', '', 'disconnected'],
  ])('202: it is taken out at once %s, and says so', async (_how, query, state) => {
    await setActive(true);
    const id = await member(state);
    const answer = await api.call('DELETE', `/v1/hosts/${id}${query}`);
    expect(answer.body.status.details.skipped).toMatch(/by force|cannot be seen/);
    expect((await api.call('GET', `/v1/hosts/${id}`)).body.spec.desiredState).toBe('removed');
  });
});

describe('POST /v1/operations/:id/actions/cancel', () => {
  const cancel = (id: string, options = {}) =>
    api.call('POST', `/v1/operations/${id}/actions/cancel`, options);

  it('200: canceled, and told; the host stays cordoned; 409 the second time', async () => {
    await setActive(true);
    const hostId = await member();
    const { id } = (await act(hostId, 'drain', { body: {} })).body;
    expect((await cancel(id)).body).toMatchObject({ id, status: { state: 'canceled' } });
    expect((await cancel(id)).body).toMatchObject({ status: 409, code: 'conflict' });
    expect((await api.call('GET', `/v1/hosts/${hostId}`)).body.spec.unschedulable).toBe(true);
  });

  it('401, 403, 404', async () => {
    await setActive(true);
    const { id } = (await act(await member(), 'drain', { body: {} })).body;
    const other = await api.newKey('admin', newId('environment'));
    expect((await cancel(id, { key: null })).status).toBe(401);
    expect((await cancel(id, { key: api.keys.readOnly })).status).toBe(403);
    expect((await cancel(id, { key: other })).status).toBe(404);
    expect((await cancel('op_none')).status).toBe(404);
  });

  it('409: what cannot be left half done, and a removal that is drained', async () => {
    await setActive(true);
    const created = await api.call('POST', `/v1/environments/${environmentId}/hosts`, {
      body: { kind: 'local' },
    });
    expect((await cancel(created.body.id)).body).toMatchObject({ status: 409, code: 'conflict' });
    const removal = await api.call('DELETE', `/v1/hosts/${await member()}?force=true`);
    expect((await cancel(removal.body.id)).body).toMatchObject({ status: 409, code: 'conflict' });
  });
});

describe('power', () => {
  it('202: the machine is told, and asked twice it is one operation', async () => {
    const id = await localHost();
    const from = machine.received.length;
    const off = await act(id, 'powerOff');
    expect(off.status, off.text).toBe(202);
    expect(off.body).toMatchObject({ type: 'host.powerOff', target: { kind: 'Host', id } });
    expect(off.body.status.steps).toMatchObject([{ name: 'power-off', state: 'pending' }]);
    expect((await act(id, 'powerOff')).body.id).toBe(off.body.id);
    expect((await api.call('GET', `/v1/hosts/${id}`)).body.spec.power).toBe('off');
    await expect
      .poll(() => {
        const slices = machine.received.slice(from).flatMap((m) => (m.type === 'slice' ? [m.slice] : []));
        return slices.at(-1)?.localHosts.find((h) => h.hostId === id)?.power;
      })
      .toBe('off');
    expect((await act(id, 'powerOn')).status).toBe(202);
    expect((await api.call('GET', `/v1/hosts/${id}`)).body.spec.power).toBe('on');
  });
});
