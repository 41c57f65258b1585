/**
 * Two Linux machines join an environment by the very command that the API gives, as a newcomer would do it, and are given
 * back. Protects docs/joining.md.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createAuthority } from '@rancher/pki';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../support/installation.ts';
import { createJoinable, type Joinable } from '../support/joinable.ts';
import type { TestMachine } from '../support/machines.ts';

let joinable: Joinable;
let { rancher, network, newToken, hosts, host, nodeReady, pidOf } = {} as Joinable;
let first: TestMachine;
let second: TestMachine;
let otherAuthority: string;

beforeAll(async () => {
  joinable = await createJoinable('joined');
  ({ rancher, network, newToken, hosts, host, nodeReady, pidOf } = joinable);
  [first, second] = await Promise.all([network.machine('first'), network.machine('second')]);
  const { certificatePem } = await createAuthority({ commonName: 'another' });
  otherAuthority = certificatePem
    .replace(/-----.*-----/g, '')
    .trim()
    .replaceAll('\n', '\\n');
});

afterAll(() => joinable?.remove());

async function labelsOfNode(name: string): Promise<Record<string, string>> {
  const args = ['get', 'node', name, '-o', 'jsonpath={.metadata.labels}'];
  return JSON.parse(await rancher.kubectl(args, { environment: 'joined' }));
}

test('the command makes a machine a host: active, its Node Ready, with the labels of both', async () => {
  const { command } = await newToken({ labels: { rack: 'r1' }, address: first.address });
  const output = await first.must(command);
  expect(output).toContain('This machine is host first of environment joined');
  await until('the host is active', async () => (await host('first'))?.status.state === 'active');
  await nodeReady('first');
  const { labels, status } = await host('first');
  expect(labels).toMatchObject({ rack: 'r1', 'io.rancher.host.os': 'linux' });
  expect(status).toMatchObject({
    address: first.address,
    facts: { hostname: 'first', cores: expect.any(Number) },
  });
  expect(await labelsOfNode('first')).toMatchObject(labels);
});

test('run again it updates the agent, and the machine is the same host', async () => {
  const before = await host('first');
  const { command, id } = await newToken({ labels: { tier: 'a' } });
  await first.must(command);
  await until('the agent is connected anew', async () => {
    const { connected, connectedAt } = (await host('first')).status;
    return connected && connectedAt > before.status.connectedAt;
  });
  const after = await host('first');
  expect(after.id).toBe(before.id);
  expect(after.labels).toMatchObject({ rack: 'r1', tier: 'a' });
  expect(await hosts()).toHaveLength(1);
  const { body } = await rancher.api('GET', `/v1/registrationTokens/${id}`);
  expect(body.status.uses).toBe(0);
});

test('an agent that is killed comes back, and what runs goes on', async () => {
  const agentPid = async () => (await host('first')).status.facts.agentPid as number;
  const [agent, runs] = [await agentPid(), await pidOf('kubelet', 'first')];
  await first.must(`kill -9 ${agent}`);
  await until(
    'another agent is connected',
    async () => (await agentPid()) !== agent && (await host('first')).status.connected,
  );
  expect(await pidOf('kubelet', 'first')).toBe(runs);
});

test('an agent that is not the server’s is replaced by that when it connects, and what runs goes on', async () => {
  const program = '/var/lib/rancher-agent/program/agent.mjs';
  const sum = () => first.must(`sha256sum <${program}`);
  const [served, agent] = [await sum(), (await host('first')).status.facts.agentPid];
  const runs = await pidOf('kubelet', 'first');
  await first.must(`echo '// of another version' >>${program}; kill -9 ${agent}`);
  await until('it is the server’s again', async () => (await sum()) === served);
  await until('that one is connected', async () => {
    const { connected, facts } = (await host('first')).status;
    return (
      connected && (await first.sh(`tr '\\0' ' ' </proc/${facts.agentPid}/cmdline`)).stdout.includes(program)
    );
  });
  expect(await pidOf('kubelet', 'first')).toBe(runs);
  expect((await first.sh('ls /var/lib/rancher-agent/program')).stdout).toBe('agent.mjs\nkeep.sh\nnode\n');
});

test('a machine that lacks something is told all of it before it joins, and no use of the token is counted', async () => {
  const untouched = await second.traces();
  const listen = `require('net').createServer().listen(10250, () => console.log('listens'))`;
  // Only in its network: the machine has a /tmp of its own, where this Node may lie.
  const inside = ['--target', String(second.pid), '--net', process.execPath, '-e', listen];
  const listener = spawn('nsenter', inside, { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(listener.stdout, 'data');
  const { command, id } = await newToken({ address: '192.0.2.7' });
  const { code, stderr } = await second.sh(`${command} --folder /var/lib/elsewhere`);
  listener.kill();
  expect(code).not.toBe(0);
  expect(stderr).toMatch(/2 things are in the way of this machine being a host\. Nothing was changed/);
  expect(stderr).toMatch(/192\.0\.2\.7 is no address of this machine.*\n.*--address/);
  expect(stderr).toMatch(/port 10250 is taken\n/);
  expect((await rancher.api('GET', `/v1/registrationTokens/${id}`)).body.status.uses).toBe(0);
  expect(await host('second')).toBeUndefined();
  expect(await second.traces()).toEqual(untouched);
});

test('a token that is expired, spent, revoked or of another server says which, and leaves nothing behind', async () => {
  const untouched = await second.traces();
  const expired = await newToken({ expiresInSeconds: 1 });
  await until('the token is expired', async () => {
    const { body } = await rancher.api('GET', `/v1/registrationTokens/${expired.id}`);
    return body.status.state === 'expired';
  });
  const revoked = await newToken();
  expect((await rancher.rancher(['token', 'revoke', revoked.id])).code).toBe(0);
  const spent = await newToken();
  const facts = { hostname: 'x', address: '10.0.0.1', arch: 'amd64', kernel: '6', cgroupVersion: 1 };
  const joined = await rancher.api('POST', '/v1/agent/join', {
    token: spent.token,
    name: 'spender',
    labels: {},
    facts,
  });
  expect(joined.status).toBe(201);
  await rancher.must(['host', 'remove', '-e', 'joined', 'spender', '--wait']);

  for (const [command, reason] of [
    [expired.command, /expired at/],
    [revoked.command, /was revoked/],
    [spent.command, /was used up: 1 of 1/],
    [expired.command.replace(expired.token, `rt_${'a'.repeat(32)}`), /is unknown/],
    // Where nobody is, on the network of the test.
    [expired.command.replaceAll(network.address, network.address.replace(/\d+$/, '250')), /curl: \((7|28)\)/],
    // Another authority's certificate in place of the server's.
    [
      expired.command.replace(
        /BEGIN CERTIFICATE-----\\n.*?\\n-----END/,
        `BEGIN CERTIFICATE-----\\n${otherAuthority}\\n-----END`,
      ),
      /certificate/,
    ],
  ] as const) {
    const { code, stderr } = await second.sh(command);
    expect(code, stderr).toBe(1);
    expect(stderr).toMatch(reason);
  }
  expect(await second.traces()).toEqual(untouched);
});

test('a second machine joins, and is given back without a trace', async () => {
  const untouched = await second.traces();
  await second.must((await newToken()).command);
  await nodeReady('second');
  const output = await second.must(
    '/var/lib/rancher-agent/program/node /var/lib/rancher-agent/program/agent.mjs uninstall',
  );
  expect(output).toContain('Nothing of the host is left');
  await until('the host is gone', async () => (await host('second')) === undefined);
  expect(await second.traces()).toEqual(untouched);
});
