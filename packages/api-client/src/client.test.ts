import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type ApiClient, ApiError, createClient, deleteApiKey, listEnvironments, unwrap } from './index.ts';

let server: Server;
let client: ApiClient;
let asked: IncomingMessage;
let answer: { status: number; type: string; body: string };
beforeAll(async () => {
  server = createServer((request, response) => {
    asked = request;
    response.writeHead(answer.status, { 'content-type': answer.type }).end(answer.body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  client = createClient({
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    key: 'rk_test',
  });
});
afterAll(() => server?.close());

it('sends the key and the query, and gives the data', async () => {
  answer = { status: 200, type: 'application/json', body: '{"items":[],"nextPageToken":"t"}' };
  const page = await unwrap(listEnvironments({ client, query: { name: 'a b', pageSize: 5 } }));
  expect(page.nextPageToken).toBe('t');
  expect(asked.headers.authorization).toBe('Bearer rk_test');
  expect(asked.url).toBe('/v1/environments?name=a%20b&pageSize=5');
});

it('throws the problem that the server tells', async () => {
  const problem = { status: 409, code: 'name_taken', detail: 'The name a is taken.', requestId: 'req_1' };
  answer = { status: 409, type: 'application/problem+json', body: JSON.stringify(problem) };
  const error = await unwrap(listEnvironments({ client })).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(ApiError);
  expect(error).toMatchObject({ status: 409, code: 'name_taken', message: 'The name a is taken.', problem });
});

it('throws also what is no problem, such as of a proxy in between', async () => {
  answer = { status: 502, type: 'text/html', body: '<h1>Bad gateway</h1>' };
  await expect(unwrap(listEnvironments({ client }))).rejects.toMatchObject({ status: 502, code: undefined });
});

it('takes an answer without a body', async () => {
  answer = { status: 204, type: 'application/json', body: '' };
  await expect(unwrap(deleteApiKey({ client, path: { id: 'key_1' } }))).resolves.toBeDefined();
});

it('throws when nobody answers', async () => {
  const nowhere = createClient({ baseUrl: 'http://127.0.0.1:1', key: '' });
  await expect(unwrap(listEnvironments({ client: nowhere }))).rejects.toBeInstanceOf(Error);
});
