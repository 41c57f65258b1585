import { execFile } from 'node:child_process';
import { access, mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, expect, test, vi } from 'vitest';
import { builtSha256 } from '../built-hashes.ts';
import { sharedCacheDir } from '../cache-dir.ts';
import type { Progress } from '../progress.ts';
import { createArtifactStore } from '../store.ts';
import { temporaryDir } from '../testing.ts';
import { hostArch } from '../versions.ts';

const nowhere = { kubernetes: 'http://127.0.0.1:9', github: 'http://127.0.0.1:9' };

afterEach(() => vi.unstubAllEnvs());

test('builds from Go modules on a machine without Go, the same programs as ever', {
  timeout: 600_000,
}, async () => {
  const cacheDir = await temporaryDir();
  // Modules and compiled packages are shared with the real builds; the toolchain is fetched anew.
  const shared = join(sharedCacheDir(), 'go');
  await mkdir(join(cacheDir, 'go'));
  for (const part of ['mod', 'build']) {
    await mkdir(join(shared, part), { recursive: true });
    await symlink(join(shared, part), join(cacheDir, 'go', part));
  }
  vi.stubEnv('PATH', '/usr/bin:/bin');
  const store = createArtifactStore({ cacheDir, origins: nowhere });
  const progress: Progress[] = [];
  const ref = { name: 'cni-plugins', version: '1.9.1' };
  const manifest = await store.ensure(ref, (p) => void progress.push(p));

  expect(manifest.source).toBe('build');
  await access(join(cacheDir, 'go', 'toolchain', 'go1.26.8', 'bin', 'go'));
  if (hostArch() === 'amd64') {
    const hashes = Object.entries(manifest.files).map(([file, { sha256 }]) => [file, sha256]);
    expect(Object.fromEntries(hashes)).toEqual(builtSha256['cni-plugins-1.9.1']);
  }
  const { stderr } = await promisify(execFile)(store.filePath(ref, 'loopback'), [], { env: {} });
  expect(stderr).toContain('CNI loopback plugin v1.9.1');
  // Ours, from its source in the recipe; its pin is checked on the way.
  expect(await store.ensure({ name: 'cni-front', version: '1.0.0' })).toMatchObject({ source: 'build' });
  const build = progress.filter((p) => p.step === 'build').at(-1)!;
  expect(build).toMatchObject({ unit: 'packages', done: build.total });
  expect(build.total).toBeGreaterThan(50);
});

test('without Go and without a proxy, a script stands in for what has one', async () => {
  vi.stubEnv('PATH', '/usr/bin:/bin');
  vi.stubEnv('GOPROXY', 'off');
  const store = createArtifactStore({ cacheDir: await temporaryDir(), origins: nowhere });
  const ref = { name: 'cni-front', version: '1.0.0' };
  expect(await store.ensure(ref)).toMatchObject({ source: 'script' });
  const { stdout } = await promisify(execFile)(process.execPath, [store.filePath(ref, 'rancher')], {
    env: { CNI_COMMAND: 'VERSION' },
  });
  expect(JSON.parse(stdout)).toMatchObject({ supportedVersions: expect.arrayContaining(['1.1.0']) });
});

test('without Go and without a proxy, says so', async () => {
  vi.stubEnv('PATH', '/usr/bin:/bin');
  vi.stubEnv('GOPROXY', 'off');
  const store = createArtifactStore({ cacheDir: await temporaryDir(), origins: nowhere });
  await expect(store.ensure({ name: 'cni-plugins', version: '1.9.1' })).rejects.toThrow(
    /build: no Go 1\.26\.8: GOPROXY names no proxy/,
  );
});
