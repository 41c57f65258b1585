import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { parseConfig, readConfig } from './config.ts';

const serverUrl = 'https://10.0.0.1:8080';
const pin = 'AB'.repeat(32);

it('fills in what is left out', () => {
  expect(parseConfig({ serverUrl, name: 'a' })).toEqual({
    kind: 'machine',
    name: 'a',
    labels: {},
    serverUrls: [serverUrl],
    stateDir: '/var/lib/rancher-agent',
    runDir: '/run/rancher-agent',
    cgroup: '/rancher',
    runtime: 'process',
  });
});

it('takes several servers, and a pin as openssl prints it', () => {
  const config = parseConfig({
    serverUrl: [serverUrl, 'http://127.0.0.1:1'],
    caSha256: pin.match(/../g)!.join(':'),
  });
  expect(config.serverUrls).toHaveLength(2);
  expect(config.caSha256).toBe('ab'.repeat(32));
});

it.each([
  [null, 'must be an object'],
  [{ serverUrl, tokn: 'x' }, 'unknown field tokn'],
  [{}, 'serverUrl must be'],
  [{ serverUrl: [] }, 'serverUrl is missing'],
  [{ serverUrl: 'ftp://x' }, 'serverUrl must be'],
  [{ serverUrl, caSha256: 'abc' }, 'caSha256 must be 64 hex digits'],
  [{ serverUrl, kind: 'container' }, 'kind must be one of machine, local'],
  [{ serverUrl, runtime: 'docker' }, 'runtime must be one of process, simulated'],
  [{ serverUrl, labels: { a: 1 } }, 'labels must be an object of strings'],
  [{ serverUrl, name: '' }, 'name must be text'],
  [{ serverUrl, localHosts: {} }, 'localHosts.home is missing'],
  [{ serverUrl, localHosts: 'x' }, 'localHosts must be an object'],
])('refuses %j: %s', (value, message) => {
  expect(() => parseConfig(value)).toThrow(message);
});

it('names the file, and never what is in it', () => {
  const dir = mkdtempSync(join(tmpdir(), 'rancher-config-'));
  const file = join(dir, 'config.json');
  try {
    expect(() => readConfig(file)).toThrow(file);
    writeFileSync(file, '{"token": "secret-token", ');
    expect(() => readConfig(file)).toThrow(`${file}: not JSON`);
    writeFileSync(file, '{"token": "secret-token", "kind": "x"}');
    expect(() => readConfig(file)).toThrow(/^(?!.*secret-token).*kind/);
  } finally {
    rmSync(dir, { recursive: true });
  }
});
