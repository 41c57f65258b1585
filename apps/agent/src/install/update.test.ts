/** Protects hosts from an upgrade of their server: they get its agent, or go on with the one they have. */
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { agentPaths } from '@rancher/contracts';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { silentLog } from '../log.ts';
import { FakeServer } from '../testing/fake-server.ts';
import { followServer, isInstalled } from './update.ts';

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
const old = 'console.log("old");\n';
const next = 'console.log("next");\n';
const node = '#!/bin/sh\nexec true\n';

let dir: string;
let folder: string;
let server: FakeServer;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'rancher-update-'));
  folder = join(dir, 'program');
  mkdirSync(folder);
  writeFileSync(join(folder, 'agent.mjs'), old);
  writeFileSync(join(folder, 'keep.sh'), '');
  writeFileSync(join(folder, 'node'), node);
  chmodSync(join(folder, 'node'), 0o755);
  server = new FakeServer();
  await server.listen();
});
afterEach(async () => {
  await server.close();
  rmSync(dir, { recursive: true });
});

function serve(
  name: string,
  version: string,
  file: string,
  content: string,
): { name: string; version: string } {
  const manifest = { name, version, files: { [file]: { sha256: sha256(content), size: content.length } } };
  server.files.set(agentPaths.artifactManifest(name, version), JSON.stringify(manifest));
  server.files.set(agentPaths.artifact(name, version, file), content);
  return { name, version };
}

const agentOf = (content: string) =>
  serve('rancher-agent', `0.1.0-${sha256(content).slice(0, 12)}`, 'agent.mjs', content);
const access = () => ({ url: server.url, pin: server.caSha256, credential: 'c' });
const sameNode = { name: 'node', version: process.versions.node };
const now = (file = 'agent.mjs') => readFileSync(join(folder, file), 'utf8');

it('puts the agent of the server in place, and leaves nothing else', async () => {
  const wanted = { agent: agentOf(next), node: sameNode };
  expect(await followServer(access(), wanted, silentLog, folder)).toBe(true);
  expect(now()).toBe(next);
  expect(readdirSync(folder).sort()).toEqual(['agent.mjs', 'keep.sh', 'node']);
  expect(readdirSync(dir)).toEqual(['program']);
});

it('does nothing where it is the same', async () => {
  server.files.clear();
  const agent = { name: 'rancher-agent', version: `0.1.0-${sha256(old).slice(0, 12)}` };
  expect(await followServer(access(), { agent, node: sameNode }, silentLog, folder)).toBe(false);
  expect(now()).toBe(old);
});

it('brings another Node with it', async () => {
  const other = '#!/bin/sh\nexit 0\n';
  const wanted = { agent: agentOf(next), node: serve('node', '99.0.0', 'node', other) };
  expect(await followServer(access(), wanted, silentLog, folder)).toBe(true);
  expect([now(), now('node')]).toEqual([next, other]);
});

it.each([
  [
    'does not run',
    () => ({ agent: agentOf(next), node: serve('node', '99.0.0', 'node', '#!/bin/sh\nexit 1\n') }),
  ],
  ['cannot be had', () => ({ agent: { name: 'rancher-agent', version: '0.1.0-0' }, node: sameNode })],
  [
    'comes damaged',
    () => {
      const agent = agentOf(next);
      server.files.set(agentPaths.artifact(agent.name, agent.version, 'agent.mjs'), 'damaged');
      return { agent, node: sameNode };
    },
  ],
])('goes on with what it has where the other %s', async (_, wanted) => {
  expect(await followServer(access(), wanted(), silentLog, folder)).toBe(false);
  expect([now(), now('node')]).toEqual([old, node]);
  expect(readdirSync(dir)).toEqual(['program']);
});

it('is for the agent of an installed host alone', () => {
  expect(isInstalled(join(folder, 'agent.mjs'), folder)).toBe(true);
  expect(isInstalled('/run/rancher/app/main.js', folder)).toBe(false);
  expect(isInstalled(process.argv[1], join(dir, 'none'))).toBe(false);
});
