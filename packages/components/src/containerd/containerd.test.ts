import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bareFacts, contextOf, modernFacts } from '../testing.ts';
import { containerd } from './index.ts';
import { pauseImageArchive, pauseImageName } from './pause-image.ts';
import { pauseProgram } from './pause-program.ts';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'rancher-pause-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const arch = process.arch === 'arm64' ? 'arm64' : 'amd64';

describe('the pause program', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)('waits, and exits at once and clean on %s', async (signal) => {
    const program = join(dir, `pause-${signal}`);
    writeFileSync(program, pauseProgram(arch), { mode: 0o755 });
    const child = spawn(program, { stdio: 'ignore' });
    const exit = new Promise((resolve) => child.once('exit', (...how) => resolve(how)));
    await blockedIn(child.pid!);
    expect(ignores(child.pid!, 17)).toBe(true);
    child.kill(signal);
    expect(await exit).toEqual([0, null]);
  });

  it.each(['amd64', 'arm64'] as const)('is an executable of %s that fits in one block', (target) => {
    const program = pauseProgram(target);
    expect(program.subarray(0, 4).toString('latin1')).toBe('\x7fELF');
    expect(program.readUInt16LE(18)).toBe(target === 'amd64' ? 62 : 183);
    expect(program.length).toBeLessThan(512);
  });
});

describe('the pause image', () => {
  it('is an OCI image layout whose digests are right', () => {
    const file = join(dir, 'image.tar');
    writeFileSync(file, pauseImageArchive(arch));
    execFileSync('tar', ['-xf', file, '-C', dir]);
    const blobs = join(dir, 'blobs/sha256');
    for (const name of readdirSync(blobs)) {
      const sum = createHash('sha256').update(readFileSync(join(blobs, name)));
      expect(sum.digest('hex')).toBe(name);
    }
    const index = JSON.parse(readFileSync(join(dir, 'index.json'), 'utf8'));
    expect(index.manifests[0].annotations['io.containerd.image.name']).toBe(pauseImageName);
    const manifest = JSON.parse(readFileSync(join(blobs, index.manifests[0].digest.slice(7)), 'utf8'));
    execFileSync('tar', ['-xf', join(blobs, manifest.layers[0].digest.slice(7)), '-C', dir]);
    expect(readFileSync(join(dir, 'pause')).equals(pauseProgram(arch))).toBe(true);
  });

  it('is the same each time', () => {
    expect(pauseImageArchive(arch).equals(pauseImageArchive(arch))).toBe(true);
  });
});

describe('containerd’s configuration', () => {
  const configuration = (facts: typeof modernFacts) =>
    containerd.spec(contextOf(facts)).files.find((f) => f.path.endsWith('config.toml'))?.content ?? '';

  it('follows the cgroup driver and what the host may do', () => {
    expect(configuration(modernFacts)).toContain('SystemdCgroup = true');
    expect(configuration(modernFacts)).toContain('restrict_oom_score_adj = false');
    expect(configuration(bareFacts)).toContain('SystemdCgroup = false');
    expect(configuration(bareFacts)).toContain('restrict_oom_score_adj = true');
  });

  it('uses nothing of the machine’s own containerd', () => {
    expect(configuration(bareFacts)).toContain('imports = []');
    expect(configuration(bareFacts)).toMatch(/nri'\]\s+disable = true/);
    expect(configuration(bareFacts)).not.toMatch(/"\/(var\/lib|run)\/containerd/);
  });
});

/** Waits until the process sleeps in the system call it was written for. */
async function blockedIn(pid: number): Promise<void> {
  while (!/^State:\s+S/m.test(readFileSync(`/proc/${pid}/status`, 'utf8')) || !ignores(pid, 17)) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function ignores(pid: number, signal: number): boolean {
  const mask = /^SigIgn:\s+([0-9a-f]+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? '0';
  return (BigInt(`0x${mask}`) & (1n << BigInt(signal - 1))) !== 0n;
}
