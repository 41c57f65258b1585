/** Protects how the CLI speaks REST: pages, problems, events. Against a real HTTP server. */
import { createServer, type Server } from 'node:http';
import { getEnvironment, listHosts } from '@rancher/api-client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Client, Problem } from './client.ts';

let server: Server;
let client: Client;

beforeAll(async () => {
  server = createServer((request, response) => {
    const url = new URL(request.url ?? '', 'http://x');
    if (request.headers.authorization !== 'Bearer rk_test') {
      response.writeHead(401).end('{"code":"unauthenticated","detail":"no key"}');
    } else if (url.pathname === '/v1/hosts') {
      const next = url.searchParams.get('pageToken') === null ? { nextPageToken: 'more' } : {};
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ items: [url.searchParams.get('pageToken')], ...next }));
    } else if (url.pathname === '/v1/environments/field') {
      response.writeHead(400).end('{"code":"cidr_overlap","detail":"overlaps","pointer":"/spec/podCidr"}');
    } else if (url.pathname === '/events') {
      response.write('id: 1\nevent: event\ndata: {"a":\ndata: 1}\n\n: still here\n\nid: 2\nda');
      response.end('ta: {}\n\n');
    } else response.writeHead(500).end('<html>');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  client = new Client(`http://127.0.0.1:${(server.address() as { port: number }).port}`, 'rk_test');
});
afterAll(() => void server.close());

test('lists are read to the last page', async () => {
  const items = await client.all((query) => listHosts({ client: client.api, query }));
  expect(items).toEqual([null, 'more']);
});

test('a problem is an error with its field, in the words of the server', async () => {
  const error = await client
    .call(getEnvironment({ client: client.api, path: { id: 'field' } }))
    .catch((e: unknown) => e);
  expect(error).toBeInstanceOf(Problem);
  expect(error).toMatchObject({ status: 400, code: 'cidr_overlap', message: '/spec/podCidr: overlaps' });
});

test('an answer that is no problem document is an error too', async () => {
  await expect(
    client.call(getEnvironment({ client: client.api, path: { id: 'else' } })),
  ).rejects.toMatchObject({ status: 500 });
});

test('without a server the error says how to start it', async () => {
  const nowhere = new Client('http://127.0.0.1:1', 'x');
  await expect(nowhere.call(getEnvironment({ client: nowhere.api, path: { id: 'x' } }))).rejects.toThrow(
    /no server answers.*rancher up/,
  );
});

test('events come one by one, however they are cut on the way', async () => {
  const seen = [];
  for await (const event of client.stream('/events', '0', AbortSignal.timeout(10_000))) seen.push(event);
  expect(seen).toEqual([
    { id: '1', data: '{"a":\n1}' },
    { id: '2', data: '{}' },
  ]);
});
