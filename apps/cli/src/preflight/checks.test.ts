/** Protects the promise that whatever a machine lacks is said by name, all at once, with what would mend it. */
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { afterEach, describe, expect, test } from 'vitest';
import { type Facts, findProblems, formatProblems, packagesToInstall } from './checks.mjs';
import { gatherFacts, portHolder } from './facts.mjs';

const good: Facts = {
  platform: 'linux',
  arch: 'x64',
  uid: 0,
  nodeVersion: '20.11.0',
  home: '/var/lib/rancher',
  cache: '/root/.cache/rancher',
  ports: [{ port: 8080, variable: 'RANCHER_PORT', takenBy: null }],
  features: { namespaces: true, overlayfs: true, nf_tables: true, bridge: true, veth: true },
  cgroups: { version: 2, missing: [], writable: true },
  programs: { ip: '/usr/sbin/ip', nft: '/usr/sbin/nft' },
  aptGet: true,
  disk: [{ path: '/var/lib/rancher', freeBytes: 50e9, neededBytes: 2e9, variable: 'RANCHER_HOME' }],
  homeFileSystem: 'ext4',
  homeStrangers: [],
};

test('a good machine has no problems', () => {
  expect(findProblems(good)).toEqual([]);
});

describe('each lack is named, with what would mend it', () => {
  test.each<[string, Partial<Facts>, RegExp, RegExp]>([
    ['no Linux', { platform: 'darwin' }, /darwin/, /Linux machine/],
    ['another processor', { arch: 'riscv64' }, /riscv64/, /x86_64 or arm64/],
    ['not root', { uid: 1000 }, /not root/, /sudo/],
    ['an old Node.js', { nodeVersion: '18.19.0' }, /18\.19\.0/, /20 or later/],
    [
      'a port that is taken',
      { ports: [{ port: 8080, variable: 'RANCHER_PORT', takenBy: 'nginx (pid 812)' }] },
      /port 8080 is taken by nginx \(pid 812\)/,
      /RANCHER_PORT=8081/,
    ],
    ['no nf_tables', { features: { ...good.features, nf_tables: false } }, /nf_tables/, /modprobe nf_tables/],
    ['no overlayfs', { features: { ...good.features, overlayfs: false } }, /overlayfs/, /modprobe overlay/],
    ['no namespaces', { features: { ...good.features, namespaces: false } }, /namespaces/, /privileged/],
    [
      'a missing controller',
      { cgroups: { version: 1, missing: ['memory'], writable: true } },
      /memory/,
      /cgroup_disable/,
    ],
    [
      'no cgroups',
      { cgroups: { version: null, missing: [], writable: false } },
      /not mounted/,
      /mount -t cgroup2/,
    ],
    ['read-only cgroups', { cgroups: { version: 2, missing: [], writable: false } }, /read-only/, /remount/],
    [
      'a full disk',
      { disk: [{ path: '/data', freeBytes: 1e9, neededBytes: 2 ** 31, variable: 'RANCHER_HOME' }] },
      /\/data has 0\.9 GiB free, 2\.0 GiB is needed/,
      /RANCHER_HOME=/,
    ],
    ['layers on layers', { homeFileSystem: 'overlay' }, /overlay/, /RANCHER_HOME/],
    ["somebody else's folder", { homeStrangers: ['Documents'] }, /Documents/, /RANCHER_HOME/],
    [
      'a program, and no apt-get',
      { programs: { ...good.programs, nft: null }, aptGet: false },
      /nft/,
      /nftables/,
    ],
  ])('%s', (_, change, what, mend) => {
    expect(findProblems({ ...good, ...change })).toEqual([
      { what: expect.stringMatching(what), mend: expect.stringMatching(mend) },
    ]);
  });
});

test('what cannot be told is no problem: up installs the program that tells', () => {
  expect(findProblems({ ...good, features: { ...good.features, nf_tables: null } })).toEqual([]);
});

test('where apt-get is there, a missing program is installed instead of complained of', () => {
  const facts = { ...good, programs: { ip: null, nsenter: null, unshare: null } };
  expect(findProblems(facts)).toEqual([]);
  expect(packagesToInstall(facts)).toEqual(['iproute2', 'util-linux']);
});

test('all problems are said at once', () => {
  const problems = findProblems({ ...good, uid: 1000, nodeVersion: '18.0.0', homeFileSystem: 'nfs' });
  expect(problems).toHaveLength(3);
  const text = formatProblems(problems);
  expect(text).toMatch(/Nothing was changed/);
  for (const { what, mend } of problems) expect(text).toContain(`✗ ${what}\n    → ${mend}`);
});

describe('this machine', () => {
  const server = createServer();
  afterEach(() => void server.close());

  test('a port is held by whoever listens on it, unless that is ours', async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    expect(portHolder(port, [])).toMatch(new RegExp(`\\(pid ${process.pid}\\)$`));
    expect(portHolder(port, [process.pid])).toBeNull();
  });

  test('facts are gathered', () => {
    const facts = gatherFacts({ home: tmpdir(), cache: tmpdir(), ports: [], ours: [] });
    expect(facts).toMatchObject({ platform: 'linux', cgroups: { version: expect.any(Number) } });
    expect(facts.disk[0]!.freeBytes).toBeGreaterThan(0);
  });
});
