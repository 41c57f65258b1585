import { once } from 'node:events';
import { request } from 'node:http';
import type { Metadata } from '@rancher/domain';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MetadataServer } from './server.ts';
import { metadata } from './testing.ts';
import type { Caller } from './tree.ts';

let server: MetadataServer;
let port: number;
let known: Metadata | undefined;
let caller: Caller | undefined;
/** Whether a request was looked at, to tell that it waits. */
let asked: number;
beforeEach(async () => {
  known = metadata;
  caller = { kind: 'host' };
  asked = 0;
  server = new MetadataServer({
    hostId: () => 'host_1',
    metadata: () => known,
    caller: () => {
      asked += 1;
      return caller;
    },
  });
  port = await server.listen(0, '127.0.0.1');
});
afterEach(() => server.close());

async function get(path: string, options: { method?: string; accept?: string } = {}) {
  const headers = options.accept === undefined ? {} : { accept: options.accept };
  const outgoing = request({ port, host: '127.0.0.1', path, method: options.method ?? 'GET', headers }).end();
  const [response] = await once(outgoing, 'response');
  let body = '';
  for await (const chunk of response) body += chunk;
  return { status: response.statusCode, type: response.headers['content-type'], body };
}
const until = (condition: () => boolean) => expect.poll(condition, { timeout: 10_000 }).toBe(true);

describe('the metadata server', () => {
  it('200: text, or JSON for who asks for it', async () => {
    expect(await get('/latest/self/host/name')).toMatchObject({ status: 200, body: 'default-1' });
    const json = await get('/latest/self/host', { accept: 'application/json' });
    expect(json.type).toBe('application/json');
    expect(JSON.parse(json.body)).toMatchObject({ name: 'default-1', agent_ip: '172.30.0.1' });
    expect(await get('/latest', { method: 'HEAD' })).toMatchObject({ status: 200, body: '' });
  });

  it('400, 403, 404, 405 and 503, each with a word why', async () => {
    expect(await get('/latest/version?wait=true&maxWait=soon')).toMatchObject({
      status: 400,
      body: expect.stringMatching(/maxWait is a number of seconds from 0 to 300, not "soon"/),
    });
    expect((await get('/latest/nothing')).status).toBe(404);
    expect((await get('/latest', { method: 'POST' })).status).toBe(405);
    caller = undefined;
    expect(await get('/latest/version')).toMatchObject({
      status: 403,
      body: expect.stringMatching(/pods and processes of this host/),
    });
    caller = { kind: 'host' };
    known = undefined;
    expect((await get('/latest/version')).status).toBe(503);
  });

  it('waits for another value, and gives it when it comes', async () => {
    const waiting = get('/latest/version?wait=true&value=v1&maxWait=300');
    await until(() => asked === 1);
    server.changed();
    await until(() => asked === 2);
    known = { ...metadata, version: 'v2' };
    server.changed();
    expect(await waiting).toMatchObject({ status: 200, body: 'v2' });
  });

  it('does not wait for who has another value, nor longer than asked', async () => {
    expect((await get('/latest/version?wait=true&value=v0&maxWait=300')).body).toBe('v1');
    expect((await get('/latest/version?wait=true&value=v1&maxWait=0')).body).toBe('v1');
  });

  it('lets those who wait go when it is closed', async () => {
    const waiting = get('/latest/version?wait=true&value=v1&maxWait=300').catch((error) => error.code);
    await until(() => asked === 1);
    server.close();
    expect(await waiting).toBe('ECONNRESET');
  });
});
