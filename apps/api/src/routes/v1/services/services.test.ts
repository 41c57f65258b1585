import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRegistrationToken } from '../../../intent/registration-tokens.ts';
import { join } from '../../../testing/agent.ts';
import { type Harness, startHarness } from '../../../testing/harness.ts';

const affinity = (kind: string) => `io.rancher.scheduler.affinity:${kind}`;

let api: Harness;
let environmentId: string;
beforeAll(async () => {
  api = await startHarness();
  environmentId = (await api.call('POST', '/v1/environments', { body: { name: 'a' } })).body.target.id;
});
afterAll(() => api?.stop());

async function service(name = 'kube-scheduler'): Promise<{ id: string; etag: string }> {
  const { items } = (await api.call('GET', `/v1/environments/${environmentId}/services?name=${name}`)).body;
  const { id } = items[0] as { id: string };
  return { id, etag: String((await api.call('GET', `/v1/services/${id}`)).headers.etag) };
}

async function patch(name: string, labels: Record<string, string | null>, query = '') {
  const { id, etag } = await service(name);
  return api.call('PATCH', `/v1/services/${id}${query}`, { body: { labels }, headers: { 'if-match': etag } });
}

describe('PATCH /v1/services/:id', () => {
  it('200: labels are merged, and the environment has something to carry through', async () => {
    const before = (await api.call('GET', `/v1/environments/${environmentId}`)).body.generation;
    const set = await patch('kube-scheduler', { [affinity('host_label_soft')]: 'disk=ssd', app: 'x' });
    expect(set.status, set.text).toBe(200);
    expect(set.body).toMatchObject({
      kind: 'Service',
      labels: { [affinity('host_label_soft')]: 'disk=ssd', app: 'x' },
    });
    expect(set.headers.etag).toBe((await service()).etag);
    expect((await api.call('GET', `/v1/environments/${environmentId}`)).body.generation).toBe(before + 1);
    const taken = await patch('kube-scheduler', { [affinity('host_label_soft')]: null });
    expect(taken.body.labels).toEqual({ app: 'x' });
    const events = (await api.call('GET', `/v1/environments/${environmentId}/events`)).body.items;
    expect(events.map((e: { message: string }) => e.message)).toContain(
      'The labels of service kube-scheduler of a were changed',
    );
  });

  it('200: a dry run answers with the plan and changes nothing', async () => {
    const { token } = await api.database.prisma.$transaction((tx) =>
      createRegistrationToken(tx, { environmentId, description: '', maxUses: 1, expiresInSeconds: 60 }),
    );
    await join(api, token, 'one');
    const answer = await patch('kube-proxy', { [affinity('host_label')]: 'a=b' }, '?dryRun=true');
    expect(answer.status, answer.text).toBe(200);
    expect(answer.body.kind).toBe('DryRunResult');
    const waits = answer.body.waits.map((w: { message: string }) => w.message);
    expect(waits.join('\n')).toMatch(
      /Rules leave too few hosts for kube-proxy: one is refused, for it lacks label a=b/,
    );
    const { id } = await service('kube-proxy');
    expect((await api.call('GET', `/v1/services/${id}`)).body.labels).toEqual({});
  });

  it.each([
    ['kube-scheduler', affinity('host_label'), 'ssd', /"ssd" is not a label; write key=value/],
    ['kube-scheduler', affinity('hostlabel'), 'a=b', /There is no affinity "hostlabel"; there is host_label/],
    [
      'kube-scheduler',
      affinity('container_soft_ne'),
      'etdc',
      /There is no service etdc here; there is .*etcd/,
    ],
    ['kube-scheduler', 'io.rancher.scheduler.global', 'yes', /is true or false, not "yes"/],
    ['kubelet', 'io.rancher.scheduler.global', 'false', /kubelet is part of every node/],
    ['etcd', 'io.rancher.scheduler.global', 'true', /etcd has 1, 3 or 5 members/],
  ])('400: %s with %s: %s', async (name, label, value, detail) => {
    const answer = await patch(name, { [label]: value });
    expect(answer.body).toMatchObject({ status: 400, code: 'invalid_value', pointer: `/labels/${label}` });
    expect(answer.body.detail).toMatch(detail);
  });

  it('400: a field that is not there, a value that is no text', async () => {
    const { id, etag } = await service();
    const send = (body: unknown) =>
      api.call('PATCH', `/v1/services/${id}`, { body, headers: { 'if-match': etag } });
    expect((await send({ scale: 3 })).body).toMatchObject({ status: 400, code: 'unknown_field' });
    expect((await send({ labels: { a: 1 } })).body).toMatchObject({ status: 400, pointer: '/labels/a' });
  });

  it('401, 403, 404, 412 and 428', async () => {
    const { id, etag } = await service();
    const url = `/v1/services/${id}`;
    const with_ = (key: string | null, tag?: string, at = url) =>
      api.call('PATCH', at, {
        key,
        body: { labels: {} },
        headers: tag === undefined ? {} : { 'if-match': tag },
      });
    expect((await with_(null, etag)).status).toBe(401);
    expect((await with_(api.keys.readOnly, etag)).status).toBe(403);
    const other = (await api.call('POST', '/v1/environments', { body: { name: 'b' } })).body.target.id;
    expect((await with_(await api.newKey('admin', other), etag)).status).toBe(404);
    expect((await with_(api.keys.admin, etag, '/v1/services/svc_none')).status).toBe(404);
    expect((await with_(api.keys.admin, '"0"')).status).toBe(412);
    expect((await with_(api.keys.admin)).body).toMatchObject({ status: 428, code: 'precondition_required' });
  });

  it('409: its environment is being removed', async () => {
    const made = await api.call('POST', '/v1/environments', { body: { name: 'gone' } });
    const id = made.body.target.id as string;
    const { items } = (await api.call('GET', `/v1/environments/${id}/services?name=kubelet`)).body;
    await api.call('DELETE', `/v1/environments/${id}`);
    const answer = await api.call('PATCH', `/v1/services/${items[0].id}`, {
      body: { labels: {} },
      headers: { 'if-match': '*' },
    });
    expect(answer.body).toMatchObject({ status: 409, code: 'conflict' });
  });
});

describe('the option planes', () => {
  const change = (planes: unknown) =>
    api.call('PATCH', `/v1/environments/${environmentId}`, {
      body: { spec: { options: { planes } } },
      headers: { 'if-match': '*' },
    });

  it('is set, and taken back by null', async () => {
    expect((await change('isolated')).body.spec.options).toEqual({ planes: 'isolated' });
    expect((await change(null)).body.spec.options).toEqual({});
  });

  it('is refused with what it may be', async () => {
    const answer = await change('apart');
    expect(answer.body).toMatchObject({ status: 400, pointer: '/spec/options/planes' });
    expect(answer.body.detail).toMatch(/overlapping.*isolated/);
  });
});
