import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, type Server } from 'node:net';
import { newId } from '@rancher/domain';
import { until } from '@rancher/testing';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createRegistrationToken } from '../intent/registration-tokens.ts';
import { dial, join, type TestAgent } from '../testing/agent.ts';
import { type Harness, startHarness, startReplica } from '../testing/harness.ts';

/** Two replicas on one database: what one is asked for, the other may hold. */
let first: Harness;
let second: Harness;
let agent: TestAgent;
let echo: Server;

beforeAll(async () => {
  first = await startHarness();
  second = await startReplica(first.postgres, first.home);
  echo = createServer((socket) => socket.pipe(socket));
  echo.listen(0, '127.0.0.1');
  await once(echo, 'listening');
  const { token } = await first.database.prisma.$transaction((tx) =>
    createRegistrationToken(tx, { environmentId: null, description: '', maxUses: 1, expiresInSeconds: 60 }),
  );
  const joined = (await join(first, token)).body;
  agent = await dial(second, joined, { etcd: (echo.address() as AddressInfo).port });
  agent.hello();
  await agent.hear('slice');
});
afterAll(async () => {
  agent?.close();
  echo?.close();
  await second?.stop();
  await first?.stop();
});

it('a question goes to the replica that holds the agent, and the answer comes back', async () => {
  expect(first.context.agents.holds(agent.hostId)).toBe(false);
  const result = await first.context.agents.ask(agent.hostId, {
    method: 'logTail',
    service: 'etcd',
    lines: 2,
  });
  expect(result).toEqual({ lines: ['etcd 0', 'etcd 1'] });
});

it('a stream goes through the replica that holds the agent, both ways', async () => {
  const stream = await first.context.agents.openTunnel(agent.hostId, 'etcd');
  let heard = '';
  stream.on('data', (chunk) => {
    heard += chunk;
  });
  const sent = 'x'.repeat(300_000);
  stream.write(sent);
  await until('the echo', () => heard.length === sent.length);
  expect(heard).toBe(sent);
  stream.destroy();
});

it('a stream that is dialled to another replica than waits for it is led there', async () => {
  agent.dialTo(first.port);
  const stream = await second.context.agents.openTunnel(agent.hostId, 'etcd');
  stream.write('hello');
  const [chunk] = await once(stream, 'data');
  expect(String(chunk)).toBe('hello');
  stream.destroy();
  agent.dialTo(second.port);
});

it('whether a host is there, the replica that holds it is asked', async () => {
  const { agents } = first.context;
  expect(await agents.answers(agent.hostId)).toBe(true);
  expect(agents.isSilent(agent.hostId)).toBe(false);
  agent.fallSilent();
  await until('it is silent', async () => !(await agents.answers(agent.hostId)));
  expect(agents.isSilent(agent.hostId)).toBe(true);
  agent.recover();
  await until('it is there again', () => agents.answers(agent.hostId));
  expect(agents.isSilent(agent.hostId)).toBe(false);
  expect(await agents.answers(newId('host'))).toBe(false);
});

it('a target that does not listen, and a host that nobody holds, are said to be unreachable', async () => {
  const { agents } = first.context;
  await expect(agents.openTunnel(agent.hostId, 'kube-apiserver')).rejects.toMatchObject({
    code: 'host_unreachable',
  });
  const host = await first.database.prisma.host.create({
    data: { id: newId('host'), name: 'x', kind: 'machine' },
  });
  await expect(agents.openTunnel(host.id, 'etcd')).rejects.toMatchObject({ code: 'host_unreachable' });
});

it('replicas answer each other alone', async () => {
  const url = `/internal/v1/hosts/${agent.hostId}/ask`;
  const body = { method: 'logTail', service: 'etcd', lines: 1 };
  expect((await second.call('POST', url, { body })).status).toBe(404);
  expect((await second.call('POST', url, { body, key: null })).status).toBe(401);
  expect((await second.call('POST', url, { body, key: second.keys.system })).body).toEqual({
    result: { lines: ['etcd 0'] },
  });
});

it('what is written through one replica reaches agents of the other', async () => {
  const from = agent.received.length;
  const removed = await first.call('DELETE', `/v1/hosts/${agent.hostId}`);
  expect(removed.status, removed.text).toBe(204);
  expect((await agent.hear('slice', from)).slice.removed).toBe(true);
});
