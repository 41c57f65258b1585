import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Harness, startHarness } from '../../../testing/harness.ts';

let api: Harness;
beforeAll(async () => {
  api = await startHarness();
});
afterAll(() => api?.stop());

let n = 0;
async function make(spec: object = {}): Promise<{ id: string; name: string; etag: string }> {
  const name = `env-${++n}`;
  const created = await api.call('POST', '/v1/environments', { body: { name, ...spec } });
  expect(created.status, created.text).toBe(202);
  const id = created.body.target.id as string;
  const got = await api.call('GET', `/v1/environments/${id}`);
  return { id, name, etag: String(got.headers.etag) };
}

describe('POST /v1/environments', () => {
  it('202: writes the intent and answers with the operation', async () => {
    const answer = await api.call('POST', '/v1/environments', {
      body: { name: 'first', labels: { team: 'a' }, spec: { kubernetesVersion: '1.36.3' } },
    });
    expect(answer.status, answer.text).toBe(202);
    expect(answer.body).toMatchObject({
      kind: 'Operation',
      type: 'environment.create',
      target: { kind: 'Environment', name: 'first' },
      status: { state: 'pending' },
    });
    expect(answer.headers.location).toBe(`/v1/operations/${answer.body.id}`);
    const { body } = await api.call('GET', `/v1/environments/${answer.body.target.id}`);
    expect(body).toMatchObject({
      kind: 'Environment',
      name: 'first',
      labels: { team: 'a' },
      generation: 1,
      spec: { kubernetesVersion: '1.36.3', podCidr: '10.42.0.0/16', serviceCidr: '10.43.0.0/16' },
      status: { state: 'activating', observedGeneration: 0 },
    });
    const services = await api.call('GET', `/v1/environments/${body.id}/services`);
    expect(services.body.items.map((s: { name: string }) => s.name)).toContain('kube-apiserver');
  });

  it('200: a dry run answers with the plan and changes nothing', async () => {
    const answer = await api.call('POST', '/v1/environments?dryRun=true', {
      body: { name: 'dry', spec: { hosts: { local: 1 } } },
    });
    expect(answer.status, answer.text).toBe(200);
    const services = answer.body.actions.map((a: { service: string }) => a.service);
    expect(services).toEqual(expect.arrayContaining(['etcd', 'kube-apiserver', 'kubelet']));
    expect(answer.body.actions.every((a: { reason: string }) => a.reason.length > 0)).toBe(true);
    expect((await api.call('GET', '/v1/environments?name=dry')).body.items).toEqual([]);
  });

  it.each([
    [undefined, 2, 1],
    [undefined, 3, 3],
    [1, 3, 1],
    [5, 3, 5],
  ])('200: with replicas %s and %i hosts the control plane gets %i', async (replicas, local, expected) => {
    const controlPlane = replicas === undefined ? {} : { controlPlane: { replicas } };
    const name = `replicas-${replicas ?? 'default'}-${local}`;
    const body = { name, spec: { hosts: { local }, ...controlPlane } };
    const dry = await api.call('POST', '/v1/environments?dryRun=true', { body });
    const members = dry.body.actions.filter((a: { service: string }) => a.service === 'etcd').length;
    expect(members).toBe(Math.min(expected, 3));
  });

  it('202: with the replicas that were asked for', async () => {
    const body = { name: 'replicas', spec: { controlPlane: { replicas: 5 } } };
    const { body: operation } = await api.call('POST', '/v1/environments', { body });
    const made = await api.call('GET', `/v1/environments/${operation.target.id}`);
    expect(made.body.spec.controlPlane).toEqual({ replicas: 5 });
  });

  it.each([
    [
      'two replicas',
      { name: 'x', spec: { controlPlane: { replicas: 2 } } },
      'invalid_value',
      '/spec/controlPlane/replicas',
    ],
    ['unknown field', { name: 'x', colour: 'red' }, 'unknown_field', '/colour'],
    ['unknown nested field', { name: 'x', spec: { podsCidr: '' } }, 'unknown_field', '/spec/podsCidr'],
    ['missing name', {}, 'invalid_request', '/name'],
    ['wrong type', { name: 5 }, 'invalid_value', '/name'],
    [
      'a number as text',
      { name: 'x', spec: { hosts: { local: '1' } } },
      'invalid_value',
      '/spec/hosts/local',
    ],
    ['bad name', { name: 'Not_a_label' }, 'invalid_value', '/name'],
    ['long name', { name: 'x'.repeat(41) }, 'invalid_value', '/name'],
    [
      'unknown version',
      { name: 'x', spec: { kubernetesVersion: '1.2.3' } },
      'unknown_version',
      '/spec/kubernetesVersion',
    ],
    ['no CIDR', { name: 'x', spec: { podCidr: 'ten' } }, 'invalid_value', '/spec/podCidr'],
    ['host bits', { name: 'x', spec: { podCidr: '10.42.0.1/16' } }, 'invalid_value', '/spec/podCidr'],
    ['public block', { name: 'x', spec: { podCidr: '8.0.0.0/16' } }, 'invalid_value', '/spec/podCidr'],
    ['overlap', { name: 'x', spec: { podCidr: '10.43.0.0/16' } }, 'cidr_overlap', '/spec/serviceCidr'],
    ['few pods', { name: 'x', spec: { podCidr: '10.42.0.0/21' } }, 'cidr_too_small', '/spec/podCidr'],
    [
      'few services',
      { name: 'x', spec: { serviceCidr: '10.43.0.0/25' } },
      'cidr_too_small',
      '/spec/serviceCidr',
    ],
    [
      'many services',
      { name: 'x', spec: { podCidr: '172.16.0.0/16', serviceCidr: '10.0.0.0/8' } },
      'invalid_value',
      '/spec/serviceCidr',
    ],
    [
      'no room',
      { name: 'x', spec: { podCidr: '10.42.0.0/20', hosts: { local: 17 } } },
      'cidr_too_small',
      '/spec/podCidr',
    ],
    ['bad label', { name: 'x', labels: { 'a b': 'c' } }, 'unknown_field', '/labels/a b'],
    [
      'unknown option',
      { name: 'x', spec: { options: { turbo: true } } },
      'unknown_field',
      '/spec/options/turbo',
    ],
  ])('400: %s', async (_name, body, code, pointer) => {
    const answer = await api.call('POST', '/v1/environments', { body });
    expect(answer.status, answer.text).toBe(400);
    expect(answer.headers['content-type']).toBe('application/problem+json');
    expect(answer.body).toMatchObject({ code, pointer, status: 400, type: `urn:rancher:error:${code}` });
    expect(answer.body.requestId).toBe(answer.headers['x-request-id']);
  });

  it('400: the answer to an unknown version tells which exist', async () => {
    const body = { name: 'x', spec: { kubernetesVersion: '9.9.9' } };
    expect((await api.call('POST', '/v1/environments', { body })).body.detail).toContain('1.37.2');
  });

  it('400: what is not JSON', async () => {
    const answer = await api.call('POST', '/v1/environments', { body: '{"name":' });
    expect(answer.body).toMatchObject({ status: 400, code: 'invalid_request' });
  });

  it('401: no key, and a wrong one', async () => {
    for (const key of [null, 'rk_wrong']) {
      const answer = await api.call('POST', '/v1/environments', { key, body: { name: 'x' } });
      expect(answer.status).toBe(401);
      expect(answer.body.code).toBe('unauthenticated');
      expect(answer.headers['www-authenticate']).toContain('Bearer');
    }
  });

  it('403: a read-only key, and one for another environment alone', async () => {
    const { id } = await make();
    for (const key of [api.keys.readOnly, await api.newKey('admin', id)]) {
      const answer = await api.call('POST', '/v1/environments', { key, body: { name: 'x' } });
      expect(answer.body).toMatchObject({ status: 403, code: 'forbidden' });
    }
  });

  it('409: a name that is taken, also for a dry run and for many at once', async () => {
    const { name } = await make();
    for (const url of ['/v1/environments', '/v1/environments?dryRun=true']) {
      const answer = await api.call('POST', url, { body: { name } });
      expect(answer.body).toMatchObject({ status: 409, code: 'name_taken', pointer: '/name' });
    }
    const body = { name: 'at-once' };
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => api.call('POST', '/v1/environments', { body })),
    );
    expect(answers.map((a) => a.status).sort()).toEqual([202, ...Array(7).fill(409)]);
  });

  it('503: local hosts, and no machine to make them', async () => {
    const answer = await api.call('POST', '/v1/environments', {
      body: { name: 'x', spec: { hosts: { local: 1 } } },
    });
    expect(answer.body).toMatchObject({ status: 503, code: 'host_unreachable' });
    expect((await api.call('GET', '/v1/environments?name=x')).body.items).toEqual([]);
  });
});

describe('Idempotency-Key', () => {
  const post = (key: string, body: object) =>
    api.call('POST', '/v1/environments', { body, headers: { 'idempotency-key': key } });

  it('202: the same key and body give the same answer, and the work is done once', async () => {
    const first = await post('one', { name: 'once' });
    const second = await post('one', { name: 'once' });
    expect(second.status).toBe(202);
    expect(second.text).toBe(first.text);
    expect(second.headers.location).toBe(first.headers.location);
    expect(second.headers['idempotency-replayed']).toBe('true');
    expect((await api.call('GET', '/v1/environments?name=once')).body.items).toHaveLength(1);
  });

  it('422: the same key with another body', async () => {
    await post('two', { name: 'two-a' });
    const answer = await post('two', { name: 'two-b' });
    expect(answer.body).toMatchObject({ status: 422, code: 'idempotency_mismatch' });
    expect(answer.headers['content-type']).toBe('application/problem+json');
  });

  it('replays a refusal too', async () => {
    const { name } = await make();
    const first = await post('three', { name });
    const second = await post('three', { name });
    expect(first.status).toBe(409);
    expect(second.text).toBe(first.text);
    expect(second.headers['content-type']).toBe('application/problem+json');
  });

  it('of many at once one does the work', async () => {
    const answers = await Promise.all(Array.from({ length: 6 }, () => post('four', { name: 'four' })));
    const created = answers.filter((a) => a.status === 202);
    expect(new Set(created.map((a) => a.text)).size).toBe(1);
    expect(answers.filter((a) => a.status !== 202).every((a) => a.body.code === 'conflict')).toBe(true);
  });
});

describe('GET /v1/environments', () => {
  it('200: filters by name, label and state, and pages without gaps', async () => {
    const made = [];
    for (let i = 0; i < 5; i++) made.push(await make({ labels: { page: 'yes', i: String(i) } }));
    const names: string[] = [];
    let token: string | undefined;
    do {
      const page = await api.call(
        'GET',
        `/v1/environments?labelSelector=page%3Dyes&pageSize=2${token === undefined ? '' : `&pageToken=${token}`}`,
      );
      expect(page.status, page.text).toBe(200);
      expect(page.body.items.length).toBeLessThanOrEqual(2);
      names.push(...page.body.items.map((e: { name: string }) => e.name));
      token = page.body.nextPageToken;
    } while (token !== undefined);
    expect(names).toEqual(made.map((m) => m.name));
    const one = await api.call('GET', `/v1/environments?name=${made[2]!.name}&state=activating`);
    expect(one.body.items).toHaveLength(1);
  });

  it.each([
    ['page=yes,i!=0', 4],
    ['page=yes,i in (1,2)', 2],
    ['page=yes,i notin (1,2)', 3],
    ['page=yes,!i', 0],
    ['page=yes,nothing!=x', 5],
    ['page,i', 5],
    ['page==yes,i=4', 1],
  ])('200: labelSelector %s', async (selector, count) => {
    const answer = await api.call('GET', `/v1/environments?labelSelector=${encodeURIComponent(selector)}`);
    expect(answer.status, answer.text).toBe(200);
    expect(answer.body.items).toHaveLength(count);
  });

  it('200: a key of one environment sees that one alone', async () => {
    const { id } = await make();
    const answer = await api.call('GET', '/v1/environments', { key: await api.newKey('read-only', id) });
    expect(answer.body.items.map((e: { id: string }) => e.id)).toEqual([id]);
  });

  it.each([
    ['labelSelector=%3D%3D', 'invalid_value'],
    ['pageToken=nonsense', 'invalid_value'],
    ['pageSize=0', 'invalid_value'],
    ['pageSize=1001', 'invalid_value'],
    ['state=happy', 'invalid_value'],
    ['colour=red', 'unknown_field'],
  ])('400: %s', async (query, code) => {
    expect((await api.call('GET', `/v1/environments?${query}`)).body).toMatchObject({ status: 400, code });
  });

  it('400: a page token of other filters', async () => {
    const first = await api.call('GET', '/v1/environments?pageSize=1');
    const answer = await api.call('GET', `/v1/environments?name=x&pageToken=${first.body.nextPageToken}`);
    expect(answer.body).toMatchObject({ status: 400, code: 'invalid_value' });
  });
});

describe('GET /v1/environments/:id', () => {
  it('200, and 304 for who has it already', async () => {
    const { id, etag } = await make();
    expect(etag).toBe('"1"');
    const again = await api.call('GET', `/v1/environments/${id}`, { headers: { 'if-none-match': etag } });
    expect(again.status).toBe(304);
    expect(again.text).toBe('');
  });

  it('404: none, and one that the caller may not see', async () => {
    const a = await make();
    const b = await make();
    const none = await api.call('GET', '/v1/environments/env_none');
    const unseen = await api.call('GET', `/v1/environments/${b.id}`, {
      key: await api.newKey('admin', a.id),
    });
    for (const answer of [none, unseen])
      expect(answer.body).toMatchObject({ status: 404, code: 'not_found' });
    expect(unseen.body.detail.replace(b.id, '')).toBe(none.body.detail.replace('env_none', ''));
  });
});

describe('PATCH /v1/environments/:id', () => {
  const patch = (id: string, body: object, headers: Record<string, string>, key = api.keys.admin) =>
    api.call('PATCH', `/v1/environments/${id}`, {
      key,
      body,
      headers: { 'content-type': 'application/merge-patch+json', ...headers },
    });

  it('200: merges, and counts a generation only for what is to be carried out', async () => {
    const { id, etag } = await make({ labels: { a: '1', b: '2' } });
    const renamed = await patch(
      id,
      { description: 'mine', labels: { a: null, c: '3' } },
      { 'if-match': etag },
    );
    expect(renamed.status, renamed.text).toBe(200);
    expect(renamed.body).toMatchObject({ description: 'mine', labels: { b: '2', c: '3' }, generation: 1 });
    expect(renamed.headers.etag).toBe('"2"');
    const changed = await patch(id, { spec: { options: { maxPodsPerHost: 50 } } }, { 'if-match': '*' });
    expect(changed.body).toMatchObject({ generation: 2, spec: { options: { maxPodsPerHost: 50 } } });
    const taken = await patch(id, { spec: { options: { maxPodsPerHost: null } } }, { 'if-match': '*' });
    expect(taken.body).toMatchObject({ generation: 3, spec: { options: {} } });
  });

  it('200: another number of control plane hosts, with the plan of it before', async () => {
    const { id } = await make();
    const body = { spec: { controlPlane: { replicas: 3 } } };
    const headers = { 'if-match': '*' };
    const dry = await api.call('PATCH', `/v1/environments/${id}?dryRun=true`, { body, headers });
    expect(dry.body).toMatchObject({ kind: 'DryRunResult', memberSteps: [] });
    const changed = await patch(id, body, headers);
    expect(changed.body).toMatchObject({ generation: 2, spec: { controlPlane: { replicas: 3 } } });
    const services = await api.call('GET', `/v1/environments/${id}/services`);
    const scale = (name: string) =>
      services.body.items.find((s: { name: string }) => s.name === name).spec?.scale;
    expect([scale('etcd'), scale('kube-apiserver'), scale('kubelet')]).toEqual([3, 3, null]);
  });

  it.each([
    [
      'even members',
      { spec: { controlPlane: { replicas: 4 } } },
      'invalid_value',
      '/spec/controlPlane/replicas',
    ],
    ['unknown field', { spec: { podCidr: '10.0.0.0/16' } }, 'unknown_field', '/spec/podCidr'],
    ['wrong type', { description: 3 }, 'invalid_value', '/description'],
    [
      'fixed at creation',
      { spec: { options: { nodeCidrMaskSize: 25 } } },
      'invalid_value',
      '/spec/options/nodeCidrMaskSize',
    ],
  ])('400: %s', async (_name, body, code, pointer) => {
    const { id, etag } = await make();
    expect((await patch(id, body, { 'if-match': etag })).body).toMatchObject({ status: 400, code, pointer });
  });

  it('403: a read-only key', async () => {
    const { id, etag } = await make();
    expect((await patch(id, {}, { 'if-match': etag }, api.keys.readOnly)).status).toBe(403);
  });

  it('404', async () => {
    expect((await patch('env_none', {}, { 'if-match': '*' })).status).toBe(404);
  });

  it('400: another name, as nodes carry it', async () => {
    const { id, name, etag } = await make();
    const answer = await patch(id, { name: 'other' }, { 'if-match': etag });
    expect(answer.body).toMatchObject({ status: 400, code: 'invalid_value', pointer: '/name' });
    expect((await patch(id, { name }, { 'if-match': etag })).status).toBe(200);
  });

  it('200: a dry run changes nothing', async () => {
    const { id, etag } = await make();
    const url = `/v1/environments/${id}`;
    const body = { spec: { options: { maxPodsPerHost: 50 } } };
    for (const [method, path, more] of [
      ['PATCH', url, { body, headers: { 'if-match': etag } }],
      ['DELETE', url, {}],
      ['POST', `${url}/actions/deactivate`, {}],
    ] as const) {
      const answer = await api.call(method, `${path}?dryRun=true`, more);
      expect(answer.status, answer.text).toBe(200);
      expect(answer.body.kind).toBe('DryRunResult');
    }
    expect((await api.call('GET', url)).headers.etag).toBe(etag);
  });

  it('412: it was changed since', async () => {
    const { id, etag } = await make();
    await patch(id, { description: 'a' }, { 'if-match': etag });
    const answer = await patch(id, { description: 'b' }, { 'if-match': etag });
    expect(answer.body).toMatchObject({ status: 412, code: 'stale_etag' });
  });

  it('412: of many with the same ETag one wins', async () => {
    const { id, etag } = await make();
    const answers = await Promise.all(
      Array.from({ length: 5 }, (_, i) => patch(id, { description: `${i}` }, { 'if-match': etag })),
    );
    expect(answers.map((a) => a.status).sort()).toEqual([200, 412, 412, 412, 412]);
  });

  it('428: no If-Match', async () => {
    const { id } = await make();
    expect((await patch(id, {}, {})).body).toMatchObject({ status: 428, code: 'precondition_required' });
  });
});

describe('DELETE /v1/environments/:id', () => {
  it('202: and again the same operation; nothing can be changed then', async () => {
    const { id } = await make();
    const first = await api.call('DELETE', `/v1/environments/${id}`);
    expect(first.status, first.text).toBe(202);
    expect(first.body).toMatchObject({ type: 'environment.remove', target: { id } });
    expect((await api.call('DELETE', `/v1/environments/${id}`)).body.id).toBe(first.body.id);
    const { body } = await api.call('GET', `/v1/environments/${id}`);
    expect(body).toMatchObject({
      spec: { desiredState: 'removed' },
      status: { state: 'removing' },
      generation: 2,
    });
    const patched = await api.call('PATCH', `/v1/environments/${id}`, {
      body: {},
      headers: { 'if-match': '*' },
    });
    expect(patched.body).toMatchObject({ status: 409, code: 'conflict' });
  });

  it('403: a read-only key', async () => {
    const { id } = await make();
    expect((await api.call('DELETE', `/v1/environments/${id}`, { key: api.keys.readOnly })).status).toBe(403);
  });

  it('404', async () => {
    expect((await api.call('DELETE', '/v1/environments/env_none')).status).toBe(404);
  });

  it('412: an ETag that is stale', async () => {
    const { id } = await make();
    const answer = await api.call('DELETE', `/v1/environments/${id}`, { headers: { 'if-match': '"99"' } });
    expect(answer.body).toMatchObject({ status: 412, code: 'stale_etag' });
  });
});

describe('POST /v1/environments/:id/actions', () => {
  it('202: deactivate and activate', async () => {
    const { id } = await make();
    for (const [action, desiredState] of [
      ['deactivate', 'inactive'],
      ['activate', 'active'],
    ]) {
      const answer = await api.call('POST', `/v1/environments/${id}/actions/${action}`);
      expect(answer.status, answer.text).toBe(202);
      expect(answer.body.type).toBe(`environment.${action}`);
      expect((await api.call('GET', `/v1/environments/${id}`)).body.spec.desiredState).toBe(desiredState);
    }
  });

  it('201: a kubeconfig with a key for that environment alone', async () => {
    const { id, name } = await make();
    const answer = await api.call('POST', `/v1/environments/${id}/actions/generateKubeconfig`);
    expect(answer.status, answer.text).toBe(201);
    expect(answer.body.kubeconfig).toContain(
      `server: "https://127.0.0.1:${api.port}/k8s/environments/${id}"`,
    );
    expect(answer.body.kubeconfig).toContain(`current-context: "${name}"`);
    const token = /token: (\S+)/.exec(answer.body.kubeconfig)![1]!;
    expect((await api.call('GET', '/v1/environments', { key: token })).body.items).toHaveLength(1);
    const key = await api.call('GET', `/v1/apiKeys/${answer.body.apiKeyId}`);
    expect(key.body).toMatchObject({ environmentId: id, spec: { role: 'admin' } });
  });

  it('400: a body where none is taken', async () => {
    const { id } = await make();
    const answer = await api.call('POST', `/v1/environments/${id}/actions/deactivate`, {
      body: { force: true },
    });
    expect(answer.body).toMatchObject({ status: 400, code: 'unknown_field', pointer: '/force' });
  });

  it('404, and 409 once it is being removed', async () => {
    const { id } = await make();
    expect((await api.call('POST', '/v1/environments/env_none/actions/activate')).status).toBe(404);
    await api.call('DELETE', `/v1/environments/${id}`);
    for (const action of ['activate', 'deactivate', 'generateKubeconfig']) {
      expect((await api.call('POST', `/v1/environments/${id}/actions/${action}`)).body.code).toBe('conflict');
    }
  });
});
