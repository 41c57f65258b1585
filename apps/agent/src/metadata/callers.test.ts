import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cgroupProcsFiles, makeCgroup, removeCgroup } from '@rancher/runtimes';
import { afterEach, expect, it } from 'vitest';
import { readIfPresent } from '../files.ts';
import { endProcesses } from '../host/end-processes.ts';
import { Pods, podOf } from './pods.ts';
import { holderOf, inodeOf } from './sockets.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean();
});

const args = (name: string) =>
  `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=${name};K8S_POD_INFRA_CONTAINER_ID=c;K8S_POD_UID=u-${name}`;
const attachment = (name: string, ip: string) => ({
  args: args(name),
  result: { ips: [{ address: `${ip}/24` }] },
});

it.each([
  [attachment('web', '10.42.0.7'), { ip: '10.42.0.7', name: 'web', namespace: 'default', uid: 'u-web' }],
  [{ args: args('web') }, undefined],
  [{ args: '', result: { ips: [{ address: '10.42.0.7/24' }] } }, undefined],
  [undefined, undefined],
])('a pod is known by what the runtime said of it: %j', (given, pod) => {
  expect(podOf(given)).toEqual(pod);
});

it('pods come and go with the files of the CNI daemon', () => {
  const folder = mkdtempSync(join(tmpdir(), 'rancher-pods-'));
  cleanups.push(() => rmSync(folder, { recursive: true }));
  const pods = new Pods(folder);
  expect(pods.at('10.42.0.7')).toBeUndefined();
  writeFileSync(join(folder, 'a.json'), '{"half');
  expect(pods.at('10.42.0.7')).toBeUndefined();
  writeFileSync(join(folder, 'a.json'), JSON.stringify(attachment('web', '10.42.0.7')));
  expect(pods.at('10.42.0.7')?.name).toBe('web');
  rmSync(join(folder, 'a.json'));
  writeFileSync(join(folder, 'b.json'), JSON.stringify(attachment('db', '10.42.0.7')));
  expect(pods.at('10.42.0.7')?.name).toBe('db');
  expect(new Pods(join(folder, 'none')).at('10.42.0.7')).toBeUndefined();
});

it('a process of a service is known by its socket', async () => {
  const cgroup = `/rancher-test-metadata-${process.pid}`;
  for (const service of ['etcd', 'kubelet']) makeCgroup(`${cgroup}/${service}`);
  cleanups.push(() => removeCgroup(cgroup));
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanups.push(() => server.close());
  const { port } = server.address() as AddressInfo;
  const enter = cgroupProcsFiles(`${cgroup}/kubelet`)
    .map((file) => `echo $$ >${file}`)
    .join('; ');
  const script = `${enter}; exec 3<>/dev/tcp/127.0.0.1/${port}; exec sleep 1000`;
  const client = spawn('bash', ['-c', script], { stdio: 'ignore' });
  cleanups.push(() => endProcesses(cgroup, { graceMs: 0 }));
  const [socket] = await once(server, 'connection');
  cleanups.push(() => socket.destroy());
  const inode = inodeOf(readIfPresent('/proc/net/tcp') ?? '', socket.remoteAddress, socket.remotePort);
  expect(inode).toMatch(/^\d+$/);
  expect(holderOf(inode!, cgroup, ['etcd', 'kubelet'])).toBe('kubelet');
  expect(holderOf(inode!, cgroup, ['etcd'])).toBeUndefined();
  expect(client.exitCode).toBeNull();
});

it('of a table of sockets, only the established one of that address and port counts', () => {
  const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11 1
   1: 0100007F:1F90 0100007F:0050 01 00000000:00000000 00:00000000 00000000     0        0 22 1
   2: FAFEA9A9:C350 FAFEA9A9:0050 01 00000000:00000000 00:00000000 00000000     0        0 33 1
`;
  expect(inodeOf(table, '127.0.0.1', 8080)).toBe('22');
  expect(inodeOf(table, '169.169.254.250', 50000)).toBe('33');
  expect(inodeOf(table, '127.0.0.1', 81)).toBeUndefined();
});
