/** Protects the promise that a program of this host runs on a machine that has none of its libraries. */
import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { createReporter } from '../progress.ts';
import { hostArch, releaseOf } from '../versions.ts';
import { hostSource, parseLdd } from './host.ts';

const exec = promisify(execFile);

test('a program comes with its libraries, and runs where there is nothing else', async () => {
  const root = await mkdtemp(join(tmpdir(), 'rancher-host-source-'));
  onTestFinished(() => rm(root, { recursive: true }));
  const [dir, bin] = [join(root, 'artifact'), join(root, 'bin')];
  await Promise.all([mkdir(dir), mkdir(bin)]);
  const ref = { name: 'haproxy', version: '2.6' };
  const report = createReporter(ref, () => {});
  const job = { release: releaseOf(ref), arch: hostArch(), dir, scratch: root, report };
  const { more, actualVersion } = await hostSource().fetch(job);
  expect(more).toContain('libc.so.6');
  await copyFile('/bin/busybox', join(bin, 'sh'));
  const { stdout } = await exec('chroot', [root, '/bin/sh', '/artifact/haproxy', '-v']);
  expect(stdout).toContain(actualVersion);
});

test('the output of ldd says which libraries there are, and which one is not', () => {
  const text = [
    '\tlinux-vdso.so.1 (0x00007f5e91455000)',
    '\tlibssl.so.3 => /lib/x86_64-linux-gnu/libssl.so.3 (0x00007f5e90f57000)',
    '\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f5e9074e000)',
    '\t/lib64/ld-linux-x86-64.so.2 (0x00007f5e91457000)',
  ];
  expect(parseLdd(text.join('\n'))).toEqual({
    linker: '/lib64/ld-linux-x86-64.so.2',
    libraries: ['/lib/x86_64-linux-gnu/libssl.so.3', '/lib/x86_64-linux-gnu/libc.so.6'],
  });
  expect(() => parseLdd([...text, '\tliblua5.3.so.0 => not found'].join('\n'))).toThrow(/liblua5\.3\.so\.0/);
});
