import { once } from 'node:events';
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { recordEvents } from '@rancher/db';
import type { EventInput } from '@rancher/domain';
import { until } from '@rancher/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Harness, startHarness } from '../../../testing/harness.ts';

let api: Harness;
let a: string;
let b: string;
beforeAll(async () => {
  api = await startHarness();
  for (const name of ['a', 'b']) {
    const id = (await api.call('POST', '/v1/environments', { body: { name } })).body.target.id;
    if (name === 'a') a = id;
    else b = id;
  }
});
afterAll(() => api?.stop());

const open: ClientRequest[] = [];
afterEach(() => {
  for (const req of open.splice(0)) req.destroy();
});

const event = (
  environmentId: string | null,
  message: string,
  more: Partial<EventInput> = {},
): EventInput => ({
  environmentId,
  regarding: { kind: 'Test', id: 'test' },
  type: 'Normal',
  reason: 'InstanceHealthy',
  message,
  ...more,
});
const record = (...events: EventInput[]) => recordEvents(api.database.prisma, events);

interface Heard {
  id: string;
  message: string;
}

/** Follows over the real port; what was heard grows. */
async function follow(path: string, options: { key?: string; lastEventId?: string } = {}) {
  const req = request({
    host: '127.0.0.1',
    port: api.port,
    path,
    headers: {
      authorization: `Bearer ${options.key ?? api.keys.admin}`,
      ...(options.lastEventId === undefined ? {} : { 'last-event-id': options.lastEventId }),
    },
  });
  req.on('error', () => {});
  open.push(req);
  req.end();
  const [answer] = (await once(req, 'response')) as [IncomingMessage];
  const heard: Heard[] = [];
  let rest = '';
  answer.on('data', (chunk) => {
    rest += chunk;
    const blocks = rest.split('\n\n');
    rest = blocks.pop()!;
    for (const block of blocks) {
      const id = /^id: (.*)$/m.exec(block)?.[1];
      const data = /^data: (.*)$/m.exec(block)?.[1];
      if (data === undefined) continue;
      const parsed = JSON.parse(data) as Heard;
      expect(parsed.id).toBe(id);
      heard.push(parsed);
    }
  });
  answer.on('error', () => {});
  // The first comment says that the following has begun.
  await once(answer, 'data');
  return { answer, heard, messages: () => heard.map((h) => h.message) };
}

describe('GET /v1/events?watch=true', () => {
  it('200: tells what happens from then on, as it happens, in order', async () => {
    await record(event(a, 'before'));
    const { answer, messages } = await follow('/v1/events?watch=true');
    expect(answer.headers['content-type']).toContain('text/event-stream');
    await until('the follower', () => api.context.streams.size === 1);
    await record(event(a, 'ready?'));
    await until('it to follow', () => messages().includes('ready?'));
    for (let i = 0; i < 20; i++) await record(event(i % 2 ? a : b, `m${i}`));
    await until('all', () => messages().includes('m19'));
    expect(messages()).not.toContain('before');
    expect(messages().filter((m) => m.startsWith('m'))).toEqual(
      Array.from({ length: 20 }, (_, i) => `m${i}`),
    );
  });

  it('resumes from Last-Event-ID without a gap or a repetition, while more happens', async () => {
    const first = (await record(event(a, 'r0'), event(a, 'r1')))[0]!;
    const writing = (async () => {
      for (let i = 2; i < 60; i++) await record(event(a, `r${i}`));
    })();
    const { messages } = await follow('/v1/events?watch=true', { lastEventId: String(first) });
    await writing;
    await until('all', () => messages().includes('r59'));
    expect(messages()).toEqual(Array.from({ length: 59 }, (_, i) => `r${i + 1}`));
  });

  it('many followers hear the same, each from where it was', async () => {
    const ids = await record(event(a, 's0'), event(a, 's1'), event(a, 's2'));
    const followers = await Promise.all(
      ids.map((id) => follow('/v1/events?watch=true', { lastEventId: String(id) })),
    );
    await record(event(a, 's3'));
    for (const [i, follower] of followers.entries()) {
      await until('the last', () => follower.messages().includes('s3'));
      expect(follower.messages()).toEqual(['s0', 's1', 's2', 's3'].slice(i + 1));
    }
  });

  it('a key of one environment hears of that one alone', async () => {
    const key = await api.newKey('read-only', a);
    const from = (await record(event(b, 'start')))[0]!;
    const { messages } = await follow('/v1/events?watch=true', { key, lastEventId: String(from) });
    await record(event(b, 'not mine'), event(null, 'nobodys'), event(a, 'mine'));
    await until('mine', () => messages().includes('mine'));
    expect(messages()).toEqual(['mine']);
  });

  it('filters by type', async () => {
    const from = (await record(event(a, 'x')))[0]!;
    const path = `/v1/environments/${a}/events?watch=true&type=Warning`;
    const { messages } = await follow(path, { lastEventId: String(from) });
    await record(
      event(a, 'fine'),
      event(b, 'other', { type: 'Warning' }),
      event(a, 'bad', { type: 'Warning' }),
    );
    await until('the warning', () => messages().includes('bad'));
    expect(messages()).toEqual(['bad']);
  });

  it('goes on after the database was away', async () => {
    const from = (await record(event(a, 'up')))[0]!;
    const { messages } = await follow('/v1/events?watch=true', { lastEventId: String(from) });
    await api.postgres.pause();
    expect((await api.call('GET', '/readyz')).status).toBe(503);
    const away = await api.call('GET', '/v1/environments');
    expect(away.body).toMatchObject({ status: 503, code: 'unavailable' });
    await api.postgres.resume();
    await until('the database', async () => (await api.call('GET', '/readyz')).status === 200);
    await record(event(a, 'again'));
    await until('the event', () => messages().includes('again'));
  });

  it('400: what is no event id; 401; 404', async () => {
    const bad = await api.call('GET', '/v1/events?watch=true', { headers: { 'last-event-id': 'x' } });
    expect(bad.body).toMatchObject({ status: 400, code: 'invalid_value', parameter: 'last-event-id' });
    expect((await api.call('GET', '/v1/events?watch=true', { key: null })).status).toBe(401);
    expect((await api.call('GET', '/v1/environments/env_none/events?watch=true')).status).toBe(404);
    const key = await api.newKey('admin', a);
    expect((await api.call('GET', `/v1/environments/${b}/events`, { key })).status).toBe(404);
  });
});

describe('GET /v1/events', () => {
  it('200: pages from the newest, or from the oldest', async () => {
    await record(event(b, 'p1'), event(b, 'p2'), event(b, 'p3'));
    const messages = (page: { body: { items: { message: string }[] } }) =>
      page.body.items.map((e) => e.message);
    const first = await api.call('GET', `/v1/environments/${b}/events?pageSize=2`);
    expect(messages(first)).toEqual(['p3', 'p2']);
    const second = await api.call(
      'GET',
      `/v1/environments/${b}/events?pageSize=1&pageToken=${first.body.nextPageToken}`,
    );
    expect(messages(second)).toEqual(['p1']);
    const oldest = await api.call('GET', `/v1/environments/${b}/events?order=oldest&pageSize=1`);
    expect(oldest.body.items[0].reason).toBe('EnvironmentCreated');
    const about = await api.call('GET', `/v1/events?regardingId=${b}`);
    expect(about.body.items.length).toBeGreaterThan(0);
  });

  it('200: a key of one environment that asks for another gets nothing', async () => {
    const key = await api.newKey('admin', a);
    expect((await api.call('GET', `/v1/events?environmentId=${b}`, { key })).body.items).toEqual([]);
  });

  it('400: a page token of another list', async () => {
    const answer = await api.call('GET', '/v1/events?pageToken=abc');
    expect(answer.body).toMatchObject({ status: 400, code: 'invalid_value' });
  });
});
