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

/** A machine of its own that joined the environment. */
async function joinedMachine(): Promise<string> {
  const id = newId('host');
  await api.database.prisma.host.create({
    data: { id, environmentId, name: id.replaceAll('_', '-'), kind: 'machine' },
  });
  return id;
}

const act = (hostId: string, action: string, options = {}) =>
  api.call('POST', `/v1/hosts/${hostId}/actions/${action}`, options);

describe.each(['powerOff', 'powerOn'])('POST /v1/hosts/:id/actions/%s', (action) => {
  it('401, 403, 404: only who may change the environment', async () => {
    const id = await localHost();
    const other = await api.newKey('admin', newId('environment'));
    expect((await act(id, action, { key: null })).status).toBe(401);
    expect((await act(id, action, { key: api.keys.readOnly })).status).toBe(403);
    expect((await act(id, action, { key: other })).status).toBe(404);
    expect((await act('host_none', action)).status).toBe(404);
  });

  it('409: a host that is being removed', async () => {
    const id = await localHost();
    await api.call('DELETE', `/v1/hosts/${id}`);
    expect((await act(id, action)).body).toMatchObject({ status: 409, code: 'conflict' });
  });

  it('422: a machine has a switch of its own', async () => {
    expect((await act(await joinedMachine(), action)).body).toMatchObject({
      status: 422,
      code: 'wrong_host_kind',
    });
    expect((await act(machine.hostId, action)).body).toMatchObject({ status: 422, code: 'wrong_host_kind' });
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
