/** The faults that scenarios make do what they say, no more, and are healed. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createFaults, type Faults } from '../support/faults.ts';
import { createInstallation, type Installation, run } from '../support/installation.ts';

interface Host {
  name: string;
  address: string;
  init: { pid: number };
}

let rancher: Installation;
let faults: Faults;
let a: Host;
let b: Host;
let server: string;

beforeAll(async () => {
  rancher = await createInstallation('faults');
  faults = createFaults(rancher);
  await rancher.must(['up']);
  await rancher.must(['host', 'add', '--local', '--wait']);
  [a, b] = JSON.parse(await readFile(join(rancher.home, 'local-hosts.json'), 'utf8')) as [Host, Host];
  const config = await readFile(
    join(rancher.home, `hosts/${a.name}/var/lib/rancher-agent/config.json`),
    'utf8',
  );
  server = new URL((JSON.parse(config) as { serverUrl: string[] }).serverUrl[0]!).hostname;
});

afterAll(async () => {
  await faults?.healAll();
  await rancher?.purge();
});

const within = (host: Host, ...command: string[]) =>
  run('nsenter', ['-t', String(host.init.pid), '-n', '-m', ...command]);

/** Whether a host gets an answer from an address, be it a refusal. */
async function reaches(from: Host, address: string): Promise<boolean> {
  const script = `
    const socket = require('net').connect(1, '${address}');
    socket.setTimeout(1000, () => process.exit(1));
    socket.on('error', (error) => process.exit(error.code === 'ECONNREFUSED' ? 0 : 1));`;
  return (await within(from, '/run/rancher/node', '-e', script)).code === 0;
}

async function view(): Promise<Record<string, boolean>> {
  const [aToServer, bToServer, aToB, bToA] = await Promise.all([
    reaches(a, server),
    reaches(b, server),
    reaches(a, b.address),
    reaches(b, a.address),
  ]);
  return { aToServer: aToServer!, bToServer: bToServer!, aToB: aToB!, bToA: bToA! };
}

const whole = { aToServer: true, bToServer: true, aToB: true, bToA: true };

test.each([
  ['from the server', () => faults.cutFromServer(a.name), { ...whole, aToServer: false }],
  ['from each other', () => faults.cutBetween(a.name, b.name), { ...whole, aToB: false, bToA: false }],
  ['off wholly', () => faults.cutOff(a.name), { ...whole, aToServer: false, aToB: false, bToA: false }],
])('hosts are cut %s, and healed', async (_what, cut, expected) => {
  expect(await view()).toEqual(whole);
  const fault = await cut();
  expect(await view()).toEqual(expected);
  await fault.heal();
  await fault.heal();
  expect(await view()).toEqual(whole);
});

test('a disk fills up, and what was written meanwhile is kept', async () => {
  const folder = '/var/lib/rancher-agent/services';
  const disk = await faults.smallDisk(b.name, folder, 32);
  const write = () => within(b, 'sh', '-c', `dd if=/dev/zero of=${folder}/more bs=64k count=2`);
  await disk.fill();
  expect((await write()).stderr).toContain('No space left');
  await disk.free();
  expect((await write()).code).toBe(0);
  await disk.heal();
  expect((await within(b, 'ls', folder)).stdout).toMatch(/kubelet[\s\S]*more/);
});

test('a host is switched off, and on again', async () => {
  await rancher.must(['host', 'power-off', b.name, '--wait']);
  expect(await view()).toMatchObject({ aToServer: true, aToB: false });
  await rancher.must(['host', 'power-on', b.name, '--wait']);
  b = (JSON.parse(await readFile(join(rancher.home, 'local-hosts.json'), 'utf8')) as Host[])[1]!;
  expect(await view()).toEqual(whole);
});
