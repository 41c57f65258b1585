/** Protects the promise that whatever a machine lacks is said by name, all at once and before it joins, with what would mend it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { parseConfig } from '../config.ts';
import { lookAtMachine } from './machine.ts';
import { findProblems, inWords, type MachineFacts } from './problems.ts';

const good: MachineFacts = {
  programs: { ip: true, mount: true, umount: true },
  kernel: { namespaces: true, overlay: true, bridge: true, vxlan: true },
  firewalls: { nftables: true, iptables: false },
  cgroups: { missing: [], writable: true },
  unfitFileSystem: null,
  diskFreeBytes: 20 * 1024 ** 3,
  folder: '/var/lib/rancher-agent',
  takenFolders: [],
  memoryBytes: 1024 ** 3,
  kmsg: true,
  address: { value: '10.0.0.5', own: true },
  takenPorts: [],
};

it('finds nothing in the way of a machine that has all', () => {
  expect(findProblems(good)).toEqual([]);
});

it.each<[string, Partial<MachineFacts>, RegExp, RegExp]>([
  ['a program', { programs: { ip: false } }, /program ip is missing/, /package iproute2/],
  ['namespaces', { kernel: { ...good.kernel, namespaces: false } }, /namespaces/, /privileged/],
  ['overlay', { kernel: { ...good.kernel, overlay: false } }, /overlay/, /modprobe overlay/],
  ['bridges', { kernel: { ...good.kernel, bridge: false } }, /bridge or a veth/, /modprobe -a bridge veth/],
  ['VXLAN', { kernel: { ...good.kernel, vxlan: false } }, /VXLAN/, /modprobe vxlan/],
  [
    'a firewall',
    { firewalls: { nftables: false, iptables: false } },
    /neither nftables nor iptables/,
    /nftables/,
  ],
  ['cgroups', { cgroups: { error: 'no cgroups are mounted' } }, /no cgroups are mounted/, /mount -t cgroup2/],
  [
    'a controller',
    { cgroups: { missing: ['memory'], writable: true } },
    /controller memory/,
    /cgroup_enable/,
  ],
  ['cgroups to write', { cgroups: { missing: [], writable: false } }, /no cgroup can be made/, /privileged/],
  ['kmsg', { kmsg: false }, /\/dev\/kmsg/, /device/],
  ['a file system', { unfitFileSystem: 'NFS' }, /\/var\/lib\/rancher-agent is on NFS/, /--folder/],
  ['disk', { diskFreeBytes: 1024 ** 3 }, /1\.0 GiB free, and 2\.0 GiB/, /--folder/],
  ['memory', { memoryBytes: 256 * 1024 ** 2 }, /0\.3 GiB of memory, and 0\.5 GiB/, /more/],
  ['an address', { address: { value: '10.9.9.9', own: false } }, /10\.9\.9\.9/, /--address/],
  ['a folder', { takenFolders: ['/var/lib/etcd'] }, /something in \/var\/lib\/etcd/, /move it away/],
  ['a port', { takenPorts: [10250] }, /port 10250 is taken/, /:10250/],
])('names %s with what would mend it', (_, change, what, mend) => {
  expect(findProblems({ ...good, ...change })).toEqual([
    { what: expect.stringMatching(what), mend: expect.stringMatching(mend) },
  ]);
});

it('says all of it at once', () => {
  const problems = findProblems({ ...good, kmsg: false, takenPorts: [6443, 10250] });
  const text = inWords(problems);
  expect(text).toMatch(/^3 things are in the way of this machine being a host\. Nothing was changed\.$/m);
  for (const { what, mend } of problems) expect(text).toContain(`  ✗ ${what}\n    → ${mend}`);
});

it('looks at this machine: it could be a host, but for the port that is taken and the address that is not its', async () => {
  const stateDir = mkdtempSync(join(tmpdir(), 'rancher-preflight-'));
  const server = createServer();
  try {
    await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', resolve));
    const { port } = server.address() as { port: number };
    const config = parseConfig({
      ...{ serverUrl: 'https://127.0.0.1:1', stateDir, address: '192.0.2.1' },
      cgroup: `/rancher-preflight-${process.pid}`,
    });
    writeFileSync(join(stateDir, 'data'), '');
    const folders = [stateDir, join(stateDir, 'none')];
    const problems = findProblems(await lookAtMachine(config, { ports: [port], folders }));
    expect(problems.map((p) => p.what)).toEqual([
      '192.0.2.1 is no address of this machine that others can reach',
      `there is something in ${stateDir}, which a host fills and at its end removes`,
      `port ${port} is taken`,
    ]);
  } finally {
    server.close();
    rmSync(stateDir, { recursive: true });
  }
});
