import { expect, it } from 'vitest';
import { freeAddress, freeSubnet } from './bridge.ts';
import { reachable } from './local-host.ts';
import { bridgeMac, bridgeName, hostSuffix, installationId, isBridgeOf, vethPrefix } from './names.ts';

it('chooses a subnet that overlaps nothing', () => {
  expect(freeSubnet([])).toBe('172.30.0.0/24');
  expect(freeSubnet(['172.30.0.128/25', '172.30.1.7/32', '10.0.0.0/8'])).toBe('172.30.2.0/24');
  expect(() => freeSubnet(['172.16.0.0/12'])).toThrow('no free subnet');
});

it('gives the lowest free address, neither the network’s nor the bridge’s nor the broadcast', () => {
  expect(freeAddress('172.30.0.0/24', [])).toBe('172.30.0.2');
  expect(freeAddress('172.30.0.0/24', ['172.30.0.2', '172.30.0.4'])).toBe('172.30.0.3');
  expect(() => freeAddress('172.30.0.0/30', ['172.30.0.2'])).toThrow('no free address');
});

it('names what it makes after the installation, within the kernel’s 15 characters', () => {
  expect(installationId('/var/lib/rancher')).toBe(installationId('/var/lib/rancher/'));
  expect(installationId('/var/lib/rancher')).not.toBe(installationId('/var/lib/rancher2'));
  expect(bridgeName('/x')).toHaveLength(15);
  expect(bridgeName('/x', 26).length).toBeLessThanOrEqual(15);
  expect(`${vethPrefix('/x')}${hostSuffix('172.30.9.254', 26)}`.length).toBeLessThanOrEqual(15);
  expect(new Set([0, 1, 2].map((index) => hostSuffix('172.30.9.2', index))).size).toBe(3);
  expect(isBridgeOf('/x', bridgeName('/x', 3))).toBe(true);
  expect(isBridgeOf('/y', bridgeName('/x', 3))).toBe(false);
  expect(bridgeMac('/x')).toMatch(/^02(:[0-9a-f]{2}){5}$/);
});

it('leads local hosts to the bridge where the server is on loopback', () => {
  expect(reachable('https://127.0.0.1:8080', '172.30.0.1')).toBe('https://172.30.0.1:8080');
  expect(reachable('https://localhost:8080', '172.30.0.1')).toBe('https://172.30.0.1:8080');
  expect(reachable('https://rancher.example:443', '172.30.0.1')).toBe('https://rancher.example');
});
