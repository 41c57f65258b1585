import { newId } from '@rancher/domain';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Harness, startHarness } from '../../../../testing/harness.ts';

let api: Harness;
let id: string;
beforeAll(async () => {
  api = await startHarness();
  id = (await api.call('POST', '/v1/environments', { body: { name: 'a' } })).body.target.id;
});
afterAll(() => api?.stop());

const release = (of = id, options = {}) =>
  api.call('POST', `/v1/environments/${of}/actions/releaseBrake`, options);

async function brake(status: 'True' | 'False'): Promise<void> {
  const conditions = [
    {
      ...{ type: 'Brake', status, reason: 'ManyHostsVanished', message: 'a, b and c vanished' },
      lastTransitionTime: new Date().toISOString(),
    },
  ];
  await api.database.prisma.environment.update({ where: { id }, data: { conditions } });
}

it('200: it is released from now on, and told', async () => {
  await brake('True');
  const before = Date.now();
  const answer = await release();
  expect(answer.status, answer.text).toBe(200);
  expect(answer.body).toMatchObject({ kind: 'Environment', id });
  const row = await api.database.prisma.environment.findUniqueOrThrow({ where: { id } });
  expect(row.brakeReleasedAt!.getTime()).toBeGreaterThanOrEqual(before);
  const events = (await api.call('GET', `/v1/environments/${id}/events`)).body.items;
  expect(events[0]).toMatchObject({
    reason: 'BrakeReleased',
    message: expect.stringContaining('a, b and c'),
  });
});

it('401, 403, 404, and 409 when no brake is on', async () => {
  expect((await release(id, { key: null })).status).toBe(401);
  expect((await release(id, { key: api.keys.readOnly })).status).toBe(403);
  expect((await release('env_none')).status).toBe(404);
  const other = await api.newKey('admin', newId('environment'));
  expect((await release(id, { key: other })).status).toBe(404);
  await brake('False');
  expect((await release()).body).toMatchObject({ status: 409, code: 'conflict' });
});
