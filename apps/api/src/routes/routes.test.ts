import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openApiDocument } from '../openapi.ts';
import { publicRoutes } from '../plugins/app/authentication.ts';
import { type Harness, type Method, startHarness } from '../testing/harness.ts';

let api: Harness;
let environmentId: string;
beforeAll(async () => {
  text = await openApiDocument();
  document = JSON.parse(text) as Document;
  api = await startHarness();
  environmentId = (await api.call('POST', '/v1/environments', { body: { name: 'e' } })).body.target.id;
});
afterAll(() => api?.stop());

interface Operation {
  operationId: string;
  tags: string[];
  summary: string;
  security?: unknown[];
  responses: Record<string, { description: string; content?: Record<string, { schema: object }> }>;
}
type Document = { openapi: string; paths: Record<string, Record<string, Operation>> };
let text: string;
let document: Document;
const operations = () =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  );

describe('openapi/v1.json', () => {
  it('is the document of these routes (else: npm run openapi -w @rancher/api-client)', async () => {
    const committed = await readFile(new URL('../../../../openapi/v1.json', import.meta.url), 'utf8');
    expect(text).toBe(committed);
  });

  it('is OpenAPI 3.1, and served to everyone with a page to browse it', async () => {
    const served = await api.call('GET', '/openapi.json', { key: null });
    expect(served.body.openapi).toBe('3.1.0');
    expect(JSON.stringify(served.body)).toBe(JSON.stringify(document));
    const page = await api.call('GET', '/docs', { key: null });
    expect(page.status).toBe(200);
    expect(page.text).toContain('/openapi.json');
    expect((await api.call('GET', '/docs/js/scalar.js', { key: null })).headers['content-type']).toContain(
      'javascript',
    );
  });

  it('every operation has an id of its own, a tag, a summary and its responses', async () => {
    const all = operations();
    expect(new Set(all.map(({ operation }) => operation.operationId)).size).toBe(all.length);
    for (const { path, operation } of all) {
      expect(operation.tags.length, path).toBe(1);
      expect(operation.summary, path).toBeTruthy();
      expect(
        Object.keys(operation.responses).some((status) => /^2/.test(status)),
        path,
      ).toBe(true);
      for (const [status, response] of Object.entries(operation.responses)) {
        expect(response.description, `${path} ${status}`).not.toBe('Default Response');
      }
    }
  });

  it('every operation but the public ones tells its problems', async () => {
    for (const { path, operation } of operations()) {
      if (publicRoutes.includes(path)) continue;
      for (const status of ['400', '401', '403', '429', '500', '503']) {
        expect(operation.responses[status]?.content, `${path} ${status}`).toHaveProperty(
          'application/problem+json',
        );
      }
    }
  });
});

describe('every route', () => {
  it('is authenticated, but for the public ones', async () => {
    for (const [i, { path, method }] of operations().entries()) {
      if (publicRoutes.includes(path)) continue;
      const url = path.replace(/\{\w+\}/g, 'x');
      // Each from another address, as one that fails so often would be answered 429.
      const answer = await api.call(method.toUpperCase() as Method, url, { key: null, from: `10.0.0.${i}` });
      expect(answer.status, `${method} ${path}`).toBe(401);
    }
  });

  it('that changes something is closed to read-only keys and to the system', async () => {
    for (const { path, method } of operations()) {
      // Those for agents are closed to every key: 401.
      if (method === 'get' || publicRoutes.includes(path) || path.startsWith('/v1/agent/')) continue;
      for (const key of [api.keys.readOnly, api.keys.system]) {
        const answer = await api.call(method.toUpperCase() as Method, path.replace(/\{\w+\}/g, 'x'), { key });
        expect(answer.status, `${method} ${path}`).toBe(403);
      }
    }
  });

  it('that reads one answers 404 for what is not there', async () => {
    for (const { path, method } of operations()) {
      if (method !== 'get' || !path.includes('{id}')) continue;
      const answer = await api.call('GET', path.replace('{id}', 'none'));
      expect(answer.body, path).toMatchObject({ status: 404, code: 'not_found' });
    }
  });

  it('that lists answers 200, and 400 for an unknown parameter', async () => {
    for (const { path, method } of operations()) {
      if (method !== 'get' || !/^\/v1\/(environments\/\{id\}\/)?[a-zA-Z]+$/.test(path)) continue;
      const url = path.replace('{id}', environmentId);
      const answer = await api.call('GET', url);
      expect(answer.status, `${url} ${answer.text}`).toBe(200);
      expect(Array.isArray(answer.body.items), url).toBe(true);
      if (path === '/v1/versions') continue;
      expect((await api.call('GET', `${url}?colour=red`)).body, url).toMatchObject({ code: 'unknown_field' });
    }
  });

  it('that is unknown answers 404, and 401 to strangers', async () => {
    expect((await api.call('GET', '/v1/nothing')).body).toMatchObject({ status: 404, code: 'not_found' });
    expect((await api.call('GET', '/v1/nothing', { key: null })).status).toBe(401);
    expect((await api.call('DELETE', '/v1/environments')).status).toBe(404);
  });
});

describe('the server', () => {
  it('is alive and ready for everyone', async () => {
    expect((await api.call('GET', '/livez', { key: null })).status).toBe(200);
    expect((await api.call('GET', '/readyz', { key: null })).body.status).toBe('ok');
  });

  it('shows metrics to any key of every environment, and to no other', async () => {
    const answer = await api.call('GET', '/metrics', { key: api.keys.readOnly });
    expect(answer.status).toBe(200);
    expect(answer.text).toContain('rancher_http_request_duration_seconds_bucket');
    const key = await api.newKey('admin', environmentId);
    expect((await api.call('GET', '/metrics', { key })).body).toMatchObject({
      status: 403,
      code: 'forbidden',
    });
  });

  it('answers 413 and 415 as problems', async () => {
    const large = await api.call('POST', '/v1/environments', { body: { name: 'x'.repeat(2_000_000) } });
    expect(large.body).toMatchObject({ status: 413, code: 'invalid_request' });
    const xml = await api.call('POST', '/v1/environments', {
      body: '<a/>',
      headers: { 'content-type': 'text/xml' },
    });
    expect(xml.body).toMatchObject({ status: 415, code: 'invalid_request' });
  });

  it('says nothing of an unexpected error', async () => {
    const { prisma } = api.database;
    await prisma.$executeRaw`ALTER TABLE "Stack" RENAME TO "Stack_gone"`;
    const answer = await api.call('GET', '/v1/stacks');
    await prisma.$executeRaw`ALTER TABLE "Stack_gone" RENAME TO "Stack"`;
    expect(answer.body).toMatchObject({
      status: 500,
      code: 'internal',
      requestId: answer.headers['x-request-id'],
    });
    expect(answer.text).not.toMatch(/stack|prisma|table/i);
  });

  it('answers 429 to an address that fails too often, but never to a right key', async () => {
    let answer = await api.call('GET', '/v1/versions', { key: 'rk_wrong' });
    for (let i = 0; i < 60 && answer.status === 401; i++)
      answer = await api.call('GET', '/v1/versions', { key: 'rk_wrong' });
    expect(answer.body).toMatchObject({ status: 429, code: 'rate_limited' });
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
    expect((await api.call('GET', '/v1/versions')).status).toBe(200);
  });
});
