import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join as joinPath } from 'node:path';
import { promisify } from 'node:util';
import { nodeArtifact } from '@rancher/artifacts';
import { programArtifact } from '@rancher/domain';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { dial, facts, join } from '../testing/agent.ts';
import { type Harness, startHarness } from '../testing/harness.ts';

const run = promisify(execFile);

let api: Harness;
let a: string;
let b: string;
beforeAll(async () => {
  api = await startHarness();
  a = (await api.call('POST', '/v1/environments', { body: { name: 'a' } })).body.target.id;
  b = (await api.call('POST', '/v1/environments', { body: { name: 'b' } })).body.target.id;
  await putProgram(programArtifact('agent'), 'agent.mjs', 'the agent');
  await putProgram(nodeArtifact(), 'node', '#!/bin/sh\n');
});
afterAll(() => api?.stop());

/** Puts an artifact into the store as if it had been made. */
async function putProgram(ref: { name: string; version: string }, file: string, content: string) {
  const dir = joinPath(api.home, 'cache/artifacts', `${ref.name}-${ref.version}`);
  await mkdir(dir, { recursive: true });
  await writeFile(joinPath(dir, file), content);
  const entry = { sha256: sha256(content), size: content.length };
  const arch = process.arch === 'arm64' ? 'arm64' : 'amd64';
  const manifest = { ...ref, arch, source: 'installation', files: { [file]: entry } };
  await writeFile(joinPath(dir, 'manifest.json'), JSON.stringify(manifest));
}
const sha256 = (content: string) => createHash('sha256').update(content).digest('hex');

async function newToken(environmentId = a, body: object = {}) {
  const answer = await api.call('POST', `/v1/environments/${environmentId}/registrationTokens`, { body });
  expect(answer.status, answer.text).toBe(201);
  return answer.body;
}

describe('POST /v1/environments/:id/registrationTokens', () => {
  it('201: one command, with what is known of the host as arguments', async () => {
    const made = await newToken(a, {
      labels: { rack: 'r1', 'example.com/zone': 'z' },
      name: 'big-one',
      address: '10.0.0.7',
    });
    expect(made).toMatchObject({ kind: 'RegistrationToken', environmentId: a, spec: { maxUses: 1 } });
    const server = `https://127.0.0.1:${api.port}`;
    expect(made.command).toContain(
      `curl -fsSL --connect-timeout 10 --cacert /dev/stdin ${server}/v1/agent/install.sh`,
    );
    expect(made.command).toContain(
      `| sh -s -- --token ${made.token} --name big-one --address 10.0.0.7 --label rack=r1 --label example.com/zone=z`,
    );
    expect(made.command).not.toContain('--insecure');
    expect(made.containerCommand).toMatch(/^docker run .*--privileged .* rancher-agent '/);
  });

  it('400, 404, 409', async () => {
    const post = (id: string, body: object) =>
      api.call('POST', `/v1/environments/${id}/registrationTokens`, { body });
    expect((await post(a, { maxUses: 0 })).body).toMatchObject({ status: 400, pointer: '/maxUses' });
    expect((await post(a, { address: 'nowhere' })).body).toMatchObject({ status: 400, pointer: '/address' });
    expect((await post(a, { environmentId: b })).body).toMatchObject({ status: 400, code: 'unknown_field' });
    const found = await post(a, { labels: { 'io.rancher.host.os': 'plan9' } });
    expect(found.body).toMatchObject({ status: 400, code: 'unknown_field' });
    expect((await post('env_none', {})).status).toBe(404);
    const key = await api.newKey('admin', b);
    const hidden = await api.call('POST', `/v1/environments/${a}/registrationTokens`, { key, body: {} });
    expect(hidden.status).toBe(404);
    const gone = (await api.call('POST', '/v1/environments', { body: { name: 'gone' } })).body.target.id;
    await api.call('DELETE', `/v1/environments/${gone}`);
    expect((await post(gone, {})).status).toBe(409);
  });

  it('200: listed without the secret', async () => {
    const made = await newToken();
    const list = await api.call('GET', `/v1/environments/${a}/registrationTokens`);
    expect(list.body.items.map((t: { id: string }) => t.id)).toContain(made.id);
    expect(list.text).not.toContain(made.token);
  });
});

describe('GET /v1/agent/install.sh', () => {
  it('200: to everyone, without a secret; and the command gets it, by the authority that it names', async () => {
    const script = await api.call('GET', '/v1/agent/install.sh', { key: null });
    expect(script.status, script.text).toBe(200);
    expect(script.text).toContain(`agent_sha256=${sha256('the agent')}`);
    expect(script.text).not.toMatch(/r[kht]_[a-z2-7]{32}/);
    const { command } = await newToken();
    const { stdout } = await run('sh', ['-c', `${command} --help`]);
    expect(stdout).toContain('--token TOKEN');
  });

  it('is a script that a strict shell takes', async () => {
    const script = await api.call('GET', '/v1/agent/install.sh', { key: null });
    const file = joinPath(api.home, 'install.sh');
    await writeFile(file, script.text);
    await run('dash', ['-n', file]);
  });

  it('is not run when another server answers: the command fails', async () => {
    const other = await startHarness();
    try {
      const { command } = await newToken();
      const elsewhere = command.replaceAll(`:${api.port}/`, `:${other.port}/`);
      const failed = await run('sh', ['-c', `${elsewhere} --help`]).catch((error) => error);
      expect(failed).toMatchObject({ code: 1, stdout: '' });
      expect(failed.stderr).toContain('certificate');
    } finally {
      await other.stop();
    }
  });
});

describe('GET /v1/agent/artifacts/… with a registration token', () => {
  const path = (name = 'rancher-agent', version = 'unbuilt', file = 'agent.mjs') =>
    `/v1/agent/artifacts/${name}/${version}/${file}`;

  it('200: the agent and its Node, and no use is counted', async () => {
    const { token, id } = await newToken();
    const answer = await api.call('GET', path(), { key: token });
    expect(answer.text).toBe('the agent');
    const node = nodeArtifact();
    expect((await api.call('GET', path(node.name, node.version, 'node'), { key: token })).status).toBe(200);
    expect((await api.call('GET', `/v1/registrationTokens/${id}`)).body.status.uses).toBe(0);
  });

  it('403: nothing else', async () => {
    const { token } = await newToken();
    expect((await api.call('GET', path('etcd', '3.7.3', 'etcd'), { key: token })).body).toMatchObject({
      status: 403,
      code: 'forbidden',
    });
    expect((await api.call('GET', '/v1/environments', { key: token })).status).toBe(401);
  });

  it('401: expired, spent, revoked and unknown, each told apart', async () => {
    const code = async (token: string) => (await api.call('GET', path(), { key: token })).body.code;
    const { prisma } = api.database;
    const expired = await newToken();
    await prisma.registrationToken.update({ where: { id: expired.id }, data: { expiresAt: new Date(0) } });
    const spent = await newToken();
    await join(api, spent.token, 'spender');
    const revoked = await newToken();
    await api.call('DELETE', `/v1/registrationTokens/${revoked.id}`);
    expect(await code(expired.token)).toBe('token_expired');
    expect(await code(spent.token)).toBe('token_spent');
    expect(await code(revoked.token)).toBe('token_revoked');
    expect(await code(`rt_${'a'.repeat(32)}`)).toBe('unauthenticated');
  });
});

const rejoin = (token: string, credential: string, body: object = {}) =>
  api.call('POST', '/v1/agent/join', {
    key: null,
    body: { token, credential, name: 'x', labels: {}, facts, ...body },
  });

describe('POST /v1/agent/join', () => {
  it('201: with the labels of the command and those that were found, before anything is planned', async () => {
    const { token } = await newToken();
    const body = { token, name: 'Labelled.example.com', labels: { rack: 'r1' }, facts };
    const joined = await api.call('POST', '/v1/agent/join', { key: null, body });
    expect(joined.body, joined.text).toMatchObject({ name: 'labelled', environmentName: 'a' });
    const host = await api.call('GET', `/v1/hosts/${joined.body.hostId}`);
    expect(host.body.labels).toEqual({
      rack: 'r1',
      'io.rancher.host.os': 'linux',
      'io.rancher.host.arch': 'amd64',
      'io.rancher.host.linux_kernel_version': '6.18',
      'io.rancher.host.cgroup_version': '1',
    });
    const taken = await api.call('PATCH', `/v1/hosts/${joined.body.hostId}`, {
      body: { labels: { 'io.rancher.host.os': 'mine' } },
      headers: { 'if-match': '*' },
    });
    expect(taken.body).toMatchObject({ status: 400, code: 'unknown_field' });
  });

  it('400: labels that are found by the server, and a body without a name', async () => {
    const { token } = await newToken();
    const post = (body: object) => api.call('POST', '/v1/agent/join', { key: null, body });
    const labels = { 'io.rancher.host.os': 'mine' };
    expect((await post({ token, name: 'x', labels, facts })).status).toBe(400);
    expect((await post({ token, labels: {}, facts })).body).toMatchObject({ status: 400, pointer: '/name' });
  });

  it('201: again with its credential it is the same host, and no use is counted', async () => {
    const { token, id } = await newToken(a, { maxUses: 2 });
    const { hostId, credential } = (await join(api, token, 'again')).body;
    const second = await rejoin(token, credential, { labels: { extra: 'x' } });
    expect(second.body, second.text).toMatchObject({ hostId, credential, name: 'again' });
    expect((await api.call('GET', `/v1/registrationTokens/${id}`)).body.status.uses).toBe(1);
    expect((await api.call('GET', `/v1/hosts/${hostId}`)).body.labels.extra).toBe('x');
    // Nor is a token asked to be good that is not needed.
    await api.call('DELETE', `/v1/registrationTokens/${id}`);
    expect((await rejoin(token, credential)).status).toBe(201);
    expect((await rejoin('none', credential)).status).toBe(201);
  });

  it('409: a host of another environment', async () => {
    const { credential } = (await join(api, (await newToken()).token, 'of-a')).body;
    const answer = await rejoin((await newToken(b)).token, credential);
    expect(answer.body).toMatchObject({ status: 409, code: 'host_elsewhere' });
    expect(answer.body.detail).toContain('of-a of environment a already');
  });

  it('201: a new host, where the credential is of one that was removed', async () => {
    const { hostId, credential } = (await join(api, (await newToken()).token, 'removed')).body;
    await api.database.prisma.host.update({ where: { id: hostId }, data: { removedAt: new Date() } });
    const answer = await rejoin((await newToken()).token, credential, { name: 'removed' });
    expect(answer.status, answer.text).toBe(201);
    expect(answer.body.hostId).not.toBe(hostId);
  });
});

describe('POST /v1/agent/leave', () => {
  it('202: the host is being removed; 409 for the last member of etcd, unless forced; 401', async () => {
    const { hostId, credential } = (await join(api, (await newToken()).token, 'leaver')).body;
    const leave = (body: object, key: string | null = credential) =>
      api.call('POST', '/v1/agent/leave', { key, body });
    const { prisma } = api.database;
    const service = await prisma.service.findFirstOrThrow({ where: { environmentId: a, name: 'etcd' } });
    const common = { environmentId: a, serviceId: service.id, service: 'etcd', specHash: '', reason: '' };
    await prisma.instance.create({ data: { ...common, id: 'ins_l', hostId, planGeneration: 1 } });
    expect((await leave({})).body).toMatchObject({ status: 409, code: 'conflict' });
    expect((await leave({ now: true })).body).toMatchObject({ status: 400, code: 'unknown_field' });
    expect((await leave({}, null)).status).toBe(401);
    expect((await leave({}, api.keys.admin)).status).toBe(401);
    expect((await leave({ force: true })).status).toBe(202);
    expect((await leave({ force: true })).status).toBe(202);
    expect((await api.call('GET', `/v1/hosts/${hostId}`)).body.spec.desiredState).toBe('removed');
    const operations = await api.call('GET', `/v1/operations?environmentId=${a}&type=host.remove`);
    expect(
      operations.body.items.filter((o: { target: { id: string } }) => o.target.id === hostId),
    ).toHaveLength(1);
    await prisma.instance.delete({ where: { id: 'ins_l' } });
  });
});

/** What the control socket answers to a machine: 101, or the problem. */
async function knock(credential: string, machine?: string): Promise<{ status: number; code?: string }> {
  const socket = new WebSocket(`wss://127.0.0.1:${api.port}/v1/agent/connect`, {
    ca: api.context.tls.caPem,
    headers: {
      authorization: `Bearer ${credential}`,
      ...(machine === undefined ? {} : { 'x-rancher-machine': machine }),
    },
  });
  return await new Promise((resolve) => {
    socket.on('error', () => {});
    socket.once('open', () => {
      socket.terminate();
      resolve({ status: 101 });
    });
    socket.once('unexpected-response', (_request, response) => {
      let text = '';
      response.on('data', (chunk) => {
        text += chunk;
      });
      response.on('end', () => resolve(JSON.parse(text)));
    });
  });
}

describe('the identity of a machine', () => {
  it('is of one machine: another with the same credential is refused while that is connected, and told of', async () => {
    const joined = (await join(api, (await newToken()).token, 'cloned', { machineFingerprint: 'm1' })).body;
    const agent = await dial(api, joined);
    agent.hello(undefined, { machineFingerprint: 'm1' });
    await agent.hear('welcome');
    expect(await knock(joined.credential, 'm2')).toMatchObject({ status: 409, code: 'identity_in_use' });
    const condition = async () =>
      (await api.call('GET', `/v1/hosts/${joined.hostId}`)).body.status.conditions.find(
        (c: { type: string }) => c.type === 'IdentityUnique',
      );
    expect(await condition()).toMatchObject({ status: 'False', reason: 'IdentityShared' });
    expect(agent.socket.readyState).toBe(WebSocket.OPEN);

    // Once that machine is away, the disk may have been moved.
    agent.close();
    await expect.poll(async () => (await knock(joined.credential, 'm2')).status).toBe(101);
    const moved = await dial(api, joined);
    moved.hello(undefined, { machineFingerprint: 'm2', address: '10.0.0.9' });
    await moved.hear('welcome');
    expect(await condition()).toMatchObject({ status: 'True' });
    const events = await api.call('GET', `/v1/events?environmentId=${a}`);
    const said = events.body.items.find((e: { reason: string }) => e.reason === 'HostMoved').message;
    expect(said).toContain('at 10.0.0.9 instead of 10.0.0.1');
    expect(said).toContain('as another machine');
    moved.close();
  });
});

describe('POST /v1/hosts/:id/actions/replaceIdentity', () => {
  const replace = (id: string, key = api.keys.admin) =>
    api.call('POST', `/v1/hosts/${id}/actions/replaceIdentity`, { key });

  it('201: the old credential ends at once, and the token makes a machine the same host', async () => {
    const joined = (await join(api, (await newToken()).token, 'replaced')).body;
    const agent = await dial(api, joined);
    agent.hello();
    await agent.hear('welcome');
    const closed = new Promise<number>((resolve) => agent.socket.once('close', resolve));
    const answer = await replace(joined.hostId);
    expect(answer.status, answer.text).toBe(201);
    expect(answer.body).toMatchObject({ hostId: joined.hostId, spec: { maxUses: 1 } });
    expect(answer.body.command).toContain(answer.body.token);
    expect(await closed).toBe(4003);
    expect(await knock(joined.credential)).toMatchObject({ status: 401, code: 'identity_replaced' });

    const again = (await join(api, answer.body.token, 'other-name')).body;
    expect(again).toMatchObject({ hostId: joined.hostId, name: 'replaced' });
    expect(again.credential).not.toBe(joined.credential);
    expect((await knock(again.credential)).status).toBe(101);
    expect((await join(api, answer.body.token)).body).toMatchObject({ status: 401, code: 'token_spent' });
  });

  it('409: the token of one host on a machine that is another', async () => {
    const joined = (await join(api, (await newToken()).token, 'first')).body;
    const second = (await join(api, (await newToken()).token, 'second')).body;
    const { token } = (await replace(joined.hostId)).body;
    expect((await rejoin(token, second.credential)).body).toMatchObject({
      status: 409,
      code: 'host_elsewhere',
    });
  });

  it('404, 409, 403', async () => {
    expect((await replace('host_none')).status).toBe(404);
    const { hostId } = (await join(api, (await newToken()).token, 'here')).body;
    expect((await replace(hostId, await api.newKey('admin', b))).status).toBe(404);
    expect((await replace(hostId, api.keys.readOnly)).status).toBe(403);
    const { prisma } = api.database;
    await prisma.host.update({ where: { id: hostId }, data: { desiredState: 'removed' } });
    expect((await replace(hostId)).body).toMatchObject({ status: 409, code: 'conflict' });
    await prisma.host.update({ where: { id: hostId }, data: { desiredState: 'active', kind: 'local' } });
    expect((await replace(hostId)).body).toMatchObject({ status: 409, code: 'conflict' });
  });
});
