import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { rotateLog, tailLog } from './log-file.ts';

let dir: string;
let log: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'rancher-log-'));
  log = join(dir, 'x.log');
});
afterEach(() => rmSync(dir, { recursive: true }));

it('keeps a log below its bound, and the old ones', async () => {
  for (const text of ['first\n', 'second\n', 'third\n']) {
    appendFileSync(log, text);
    await rotateLog(log, 3, 2);
  }
  expect(readFileSync(log, 'utf8')).toBe('');
  expect(readFileSync(`${log}.1`, 'utf8')).toBe('third\n');
  expect(readFileSync(`${log}.2`, 'utf8')).toBe('second\n');
});

it('leaves a small log, and one that is not there', async () => {
  writeFileSync(log, 'x\n');
  await rotateLog(log, 3, 2);
  await rotateLog(join(dir, 'none'), 3, 2);
  expect(readFileSync(log, 'utf8')).toBe('x\n');
});

it('gives the last whole lines', () => {
  writeFileSync(log, `${'long '.repeat(20_000)}\na\nb\nc\n`);
  expect(tailLog(log, 2)).toEqual(['b', 'c']);
  expect(tailLog(log, 10)).toEqual(['a', 'b', 'c']);
  expect(tailLog(join(dir, 'none'), 10)).toEqual([]);
});
