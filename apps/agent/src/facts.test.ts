import { tmpdir } from 'node:os';
import { expect, it } from 'vitest';
import { parseConfig } from './config.ts';
import { defaultInterface, gatherFacts, osName, parseNameservers } from './facts.ts';

it('leaves out name servers that another network namespace cannot reach', () => {
  const text = 'search x\nnameserver 127.0.0.53\nnameserver 10.0.0.2\nnameserver ::1\n#nameserver 1.1.1.1\n';
  expect(parseNameservers(text)).toEqual(['10.0.0.2']);
});

it('finds the interface of the default route', () => {
  const routes =
    'Iface\tDestination\tGateway\tFlags\tRefCnt\neth1\t0000A8C0\t00000000\t0001\t0\neth0\t00000000\t0102A8C0\t0003\t0\n';
  expect(defaultInterface(routes)).toBe('eth0');
  expect(defaultInterface('')).toBeUndefined();
});

it('reads the name of the system', () => {
  expect(osName('NAME="x"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n')).toBe(
    'Debian GNU/Linux 12 (bookworm)',
  );
  expect(osName('PRETTY_NAME=Alpine\n')).toBe('Alpine');
  expect(osName('')).toBe('Linux');
});

it('knows this machine', () => {
  const facts = gatherFacts(parseConfig({ serverUrl: 'https://x', stateDir: tmpdir(), cgroup: '/x' }));
  expect(facts).toMatchObject({ agentPid: process.pid, cgroupRoot: '/x', localHosts: false });
  expect(facts.address).toMatch(/^\d+\.\d+\.\d+\.\d+$/);
  expect(facts.memoryBytes).toBeGreaterThan(0);
  expect(facts.diskFreeBytes).toBeLessThanOrEqual(facts.diskBytes);
});

it('says cgroupfs of a local host, as several kubelets cannot share systemd’s slices', () => {
  const config = parseConfig({
    serverUrl: 'https://x',
    stateDir: tmpdir(),
    kind: 'local',
    name: 'a',
    address: '10.0.0.1',
  });
  expect(gatherFacts(config)).toMatchObject({ cgroupDriver: 'cgroupfs', hostname: 'a', address: '10.0.0.1' });
});
