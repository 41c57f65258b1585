import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { fullDisk } from './disks.ts';

let disk: string;
const mebibyte = 1024 ** 2;

beforeEach(() => {
  disk = mkdtempSync(join(tmpdir(), 'rancher-disk-'));
  execFileSync('mount', ['-n', '-t', 'tmpfs', '-o', `size=${10 * mebibyte}`, 'tmpfs', disk]);
});
afterEach(() => {
  execFileSync('umount', ['-n', disk]);
  rmSync(disk, { recursive: true });
});

it('is the one of a folder that has nearly no room left, until it has again', () => {
  expect(fullDisk([disk])).toBeUndefined();
  writeFileSync(join(disk, 'filler'), Buffer.alloc(9.9 * mebibyte));
  expect(fullDisk(['/proc', disk])).toEqual({
    path: disk,
    bytes: 10 * mebibyte,
    freeBytes: expect.toSatisfy((free: number) => free < mebibyte / 2),
  });
  truncateSync(join(disk, 'filler'), 5 * mebibyte);
  expect(fullDisk([disk])).toBeUndefined();
});

it('passes over folders that are not there', () => {
  expect(fullDisk([join(disk, 'none')])).toBeUndefined();
});
