import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { attachment, inside, Lab, type LabHost, programs } from '../testing/lab.ts';

const node = { name: 'a', address: '192.168.0.2', podCidr: '10.42.7.0/24' };
let lab: Lab;
let host: LabHost;

beforeAll(async () => {
  lab = new Lab(await programs());
  host = await lab.host(node, await lab.router(1));
  await host.start([node]);
});
afterAll(() => lab?.close());

const errorOf = (stdout: string) => JSON.parse(stdout) as { code: number; msg: string; details?: string };

describe('the plugin', () => {
  it('tells the versions that it knows', async () => {
    const { code, stdout } = await host.call('VERSION');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      cniVersion: '1.1.0',
      supportedVersions: ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'],
    });
  });

  it('connects a pod, checks it, and takes it away, as often as it is asked', async () => {
    const pod = await lab.namespace();
    const id = attachment('pod-1', pod);
    const added = await host.call('ADD', id);
    expect(added).toMatchObject({ code: 0, stderr: '' });
    const result = JSON.parse(added.stdout);
    expect(result).toMatchObject({
      cniVersion: '1.1.0',
      ips: [{ address: expect.stringMatching(/^10\.42\.7\.\d+\/24$/), gateway: '10.42.7.1' }],
    });
    await inside(pod, ['ping', '-c1', '-W5', '192.168.0.2']);
    expect(await host.call('CHECK', id, { prevResult: result })).toMatchObject({ code: 0, stdout: '' });

    // It is there already: the specification forbids a second ADD.
    expect((await host.call('ADD', id)).code).toBe(1);
    expect(await host.call('DEL', id)).toEqual({ code: 0, stdout: '', stderr: '' });
    expect(await host.call('DEL', id)).toEqual({ code: 0, stdout: '', stderr: '' });
    expect(await host.reserved()).toEqual([]);
    const check = await host.call('CHECK', id, { prevResult: result });
    expect(errorOf(check.stdout)).toMatchObject({ code: 3 });
  });

  it('does the same by the script, where its front could not be built', async () => {
    const script = '../../../../packages/artifacts/recipes/cni-front-1.0.0/rancher.cjs';
    const front = [process.execPath, join(import.meta.dirname, script)];
    const id = attachment('scripted', await lab.namespace());
    expect(await host.call('VERSION', {}, {}, front)).toEqual(await host.call('VERSION'));
    expect(await host.call('STATUS', {}, {}, front)).toEqual({ code: 0, stdout: '', stderr: '' });
    const added = await host.call('ADD', id, {}, front);
    expect(JSON.parse(added.stdout)).toHaveProperty('ips');
    const twice = await host.call('ADD', id, {}, front);
    expect(twice).toEqual(await host.call('ADD', id));
    expect(twice.code).toBe(1);
    expect(await host.call('DEL', id, {}, front)).toEqual({ code: 0, stdout: '', stderr: '' });
  });

  it('gives each of many pods at once an address of its own, and has all of them back', async () => {
    const names = Array.from({ length: 8 }, (_, i) => `crowd-${i}`);
    const pods = await Promise.all(names.map((name) => host.pod(name)));
    expect(new Set(pods.map((p) => p.address)).size).toBe(8);
    expect(await host.reserved()).toHaveLength(8);
    await Promise.all(names.map((name, i) => host.call('DEL', attachment(name, pods[i]!.namespace))));
    expect(await host.reserved()).toEqual([]);
  });

  it('keeps nothing of an ADD that fails', async () => {
    const { code, stdout } = await host.call('ADD', attachment('pod-2', 'no-such-namespace'));
    expect(code).toBe(1);
    expect(errorOf(stdout).msg).toContain('ptp: ');
    expect(await host.reserved()).toEqual([]);
  });

  it('collects what the runtime does not know any more', async () => {
    const [kept, forgotten] = [await host.pod('kept'), await host.pod('forgotten')];
    const valid = [{ containerID: 'kept', ifname: 'eth0' }];
    expect(await host.call('GC', {}, { 'cni.dev/valid-attachments': valid })).toMatchObject({ code: 0 });
    expect(await host.reserved()).toEqual([kept.address]);
    await inside(kept.namespace, ['ping', '-c1', '-W5', '192.168.0.2']);
    await expect(inside(forgotten.namespace, ['ip', 'link', 'show', 'eth0'])).rejects.toThrow();
    expect(await host.call('GC', {}, { 'cni.dev/valid-attachments': [] })).toMatchObject({ code: 0 });
    expect(await host.reserved()).toEqual([]);
  });

  it.each([
    ['no command', 'FROB', {}, {}, 4],
    ['no container', 'ADD', { CNI_NETNS: '/run/netns/x', CNI_IFNAME: 'eth0' }, {}, 4],
    ['a container that is a path', 'DEL', { CNI_CONTAINERID: '../x', CNI_IFNAME: 'eth0' }, {}, 4],
    ['an interface that is too long', 'DEL', { CNI_CONTAINERID: 'x', CNI_IFNAME: 'e'.repeat(16) }, {}, 4],
    ['a version of the future', 'STATUS', {}, { cniVersion: '9.0.0' }, 1],
    ['no name', 'STATUS', {}, { name: '' }, 7],
    ['GC without its list', 'GC', {}, {}, 7],
  ])('refuses %s', async (_what, command, variables, config, code) => {
    const answer = await host.call(command, variables, config);
    expect(answer.code).toBe(1);
    expect(errorOf(answer.stdout)).toMatchObject({ cniVersion: expect.any(String), code });
  });
});

describe('the daemon', () => {
  it('is killed: pods keep their network, the next daemon knows them', async () => {
    const pod = await host.pod('survivor');
    await host.stop('SIGKILL');
    await inside(pod.namespace, ['ping', '-c1', '-W5', '192.168.0.2']);
    // A call waits for the next daemon.
    const deleted = host.call('DEL', attachment('survivor', pod.namespace));
    await host.start();
    expect(await deleted).toMatchObject({ code: 0 });
    expect(await host.reserved()).toEqual([]);
  });

  it('gives back what belongs to pods that vanished while it was away', async () => {
    const pod = await host.pod('lost');
    await host.stop('SIGKILL');
    await lab.removeNamespace(pod.namespace);
    expect(await host.reserved()).toEqual([pod.address]);
    await host.start();
    expect(await host.reserved()).toEqual([]);
    expect(await host.call('DEL', attachment('lost', pod.namespace))).toMatchObject({ code: 0 });
  });

  it('stays away: the runtime is told to try again, and STATUS that nothing can be connected', async () => {
    await host.stop();
    const [add, status] = await Promise.all([
      host.call('ADD', attachment('waits', 'x')),
      host.call('STATUS'),
    ]);
    expect(errorOf(add.stdout).code).toBe(11);
    expect(errorOf(status.stdout).code).toBe(50);
    await host.start();
    expect(await host.call('STATUS')).toEqual({ code: 0, stdout: '', stderr: '' });
  });

  it('is not ready before its host has pod addresses, and says so', async () => {
    await host.stop();
    await host.start([{ ...node, name: 'other' }]);
    const status = await host.call('STATUS');
    expect(errorOf(status.stdout)).toMatchObject({ code: 50, msg: expect.stringContaining('podCIDR') });
    const add = await host.call('ADD', attachment('early', 'x'));
    expect(errorOf(add.stdout)).toMatchObject({ code: 11, msg: expect.stringContaining('podCIDR') });
  });
});
