import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { testSpec } from '../testing/test-host.ts';
import { Drift } from './drift.ts';

let dir: string;
let config: string;
let program: string;
let drift: Drift;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'rancher-drift-'));
  config = join(dir, 'config');
  program = join(dir, 'program');
  writeFileSync(config, 'a');
  writeFileSync(program, 'b');
  const files = [{ path: config, mode: 0o600, content: 'a' }];
  drift = new Drift(testSpec('x', { command: [program, '--flag'], files }));
});
afterEach(() => rmSync(dir, { recursive: true }));

it('sees nothing where nothing changed, not even when a file was only touched', () => {
  expect(drift.look()).toBeUndefined();
  utimesSync(config, new Date(), new Date(1));
  expect(drift.look()).toBeUndefined();
});

it('names a file that vanished, until it is back', () => {
  rmSync(config);
  expect(drift.look()).toBe(`${config} is missing`);
  writeFileSync(config, 'a');
  expect(drift.look()).toBeUndefined();
});

it('names a file that somebody changed, unless the agent did', () => {
  writeFileSync(config, 'other');
  expect(drift.look()).toBe(`${config} was changed`);
  drift.rebase();
  expect(drift.look()).toBeUndefined();
});

it('watches the program too', () => {
  writeFileSync(program, 'c!');
  expect(drift.look()).toBe(`${program} was changed`);
  rmSync(program);
  expect(drift.look()).toBe(`${program} is missing`);
});
