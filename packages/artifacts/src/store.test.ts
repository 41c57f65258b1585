import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, expect, onTestFinished, test, vi } from 'vitest';
import type { Progress } from './progress.ts';
import { createArtifactStore } from './store.ts';
import { firstThen, type Origin, serveMirror, startOrigin, temporaryDir, truncated } from './testing.ts';
import { releaseOf } from './versions.ts';

const exec = promisify(execFile);
const ref = { name: 'cni-plugins', version: '1.9.1' };
const release = releaseOf(ref);
/** An address where nothing listens, for publishers that cannot be reached. */
const nowhere = { kubernetes: 'http://127.0.0.1:9', github: 'http://127.0.0.1:9' };

afterEach(() => vi.unstubAllEnvs());

async function setUp() {
  const mirror = await startOrigin();
  const cacheDir = await temporaryDir();
  const contents = serveMirror(mirror, release);
  const warnings: string[] = [];
  const logger = { info: () => undefined, warn: (_: object, message: string) => void warnings.push(message) };
  const store = createArtifactStore({ cacheDir, mirror: mirror.url, origins: nowhere, logger });
  const progress: Progress[] = [];
  return {
    mirror,
    cacheDir,
    contents,
    store,
    warnings,
    progress,
    onProgress: (p: Progress) => void progress.push(p),
  };
}

function refusals(progress: Progress[]): string[] {
  return progress.filter((p) => p.step === 'refused').map((p) => p.message);
}

/** Nothing can be built: no Go, and no proxy to get it from. */
function withoutGo(): void {
  vi.stubEnv('PATH', '/usr/bin:/bin');
  vi.stubEnv('GOPROXY', 'off');
}

test('fetches from the mirror, makes programs of the files, and asks nobody the second time', async () => {
  const { mirror, store, contents, cacheDir, onProgress, progress } = await setUp();
  expect(await store.manifest(ref)).toBeNull();
  const manifest = await store.ensure(ref, onProgress);
  expect(manifest).toMatchObject({ ...ref, source: 'mirror' });
  expect(Object.keys(manifest.files)).toEqual([...release.files]);
  for (const [file, content] of contents) {
    const path = store.filePath(ref, file);
    expect(path).toBe(join(cacheDir, 'artifacts', 'cni-plugins-1.9.1', file));
    expect(await readFile(path)).toEqual(content);
    await access(path, constants.X_OK);
  }
  expect(await store.manifest(ref)).toEqual(manifest);
  expect(await store.verify(ref)).toEqual([]);
  expect(progress.map((p) => p.step)).toContain('download');
  expect(progress.at(-1)).toMatchObject({ artifact: 'cni-plugins-1.9.1', step: 'done', done: 8, total: 8 });
  const asked = mirror.requests.length;
  expect(await store.ensure(ref)).toEqual(manifest);
  expect(mirror.requests.length).toBe(asked);
  expect(await readdir(join(cacheDir, 'artifacts'))).toEqual(['cni-plugins-1.9.1']);
});

test('refuses a corrupt file, fetches again, and says so', async () => {
  const { mirror, store, contents, progress, onProgress, warnings } = await setUp();
  const path = '/cni-plugins-1.9.1/bridge';
  mirror.answers.set(path, firstThen('not what was promised', contents.get('bridge')!));
  await store.ensure(ref, onProgress);
  expect(refusals(progress)).toEqual([
    expect.stringMatching(/bridge has the SHA-256 [0-9a-f]{64} instead of/),
  ]);
  expect(warnings).toEqual(['artifact refused']);
  expect(mirror.requests.filter((r) => r === path).length).toBe(2);
  expect(await store.verify(ref)).toEqual([]);
});

test('refuses a file that ends early, and fetches again', async () => {
  const { mirror, store, contents, progress, onProgress } = await setUp();
  const bridge = contents.get('bridge')!;
  mirror.answers.set('/cni-plugins-1.9.1/bridge', firstThen(truncated(bridge), bridge));
  await store.ensure(ref, onProgress);
  expect(refusals(progress)).toEqual([expect.stringContaining('ended early')]);
});

test('gives up on a source that stays corrupt, names every source, and leaves nothing behind', async () => {
  const { mirror, store, cacheDir, progress, onProgress } = await setUp();
  withoutGo();
  mirror.answers.set('/cni-plugins-1.9.1/tuning', 'never right');
  const failure = store.ensure(ref, onProgress);
  await expect(failure).rejects.toMatchObject({ code: 'artifact_corrupt' });
  await expect(failure).rejects.toThrow(/mirror: .*official: .*cannot be reached.*build: .*host: /s);
  expect(refusals(progress).length).toBe(2);
  expect(await readdir(join(cacheDir, 'artifacts'))).toEqual([]);
});

test('says why of each source where none has it', async () => {
  const { mirror, store } = await setUp();
  withoutGo();
  mirror.answers.clear();
  const failure = store.ensure(ref);
  await expect(failure).rejects.toMatchObject({ code: 'artifact_unavailable' });
  await expect(failure).rejects.toThrow(/manifest\.json answered 404/);
});

test('checks what is in the cache, and fetches again what is not sound', async () => {
  const { mirror, store, contents, progress, onProgress } = await setUp();
  await store.ensure(ref);
  const path = store.filePath(ref, 'loopback');
  const sound = contents.get('loopback')!;
  await writeFile(path, Buffer.from(sound.map((byte, i) => (i === 5 ? byte ^ 1 : byte))));
  expect(await store.verify(ref)).toEqual(['loopback']);
  mirror.requests.length = 0;
  await store.ensure(ref, onProgress);
  expect(refusals(progress)).toEqual(['the cached copy is corrupt (loopback)']);
  expect(mirror.requests).toContain('/cni-plugins-1.9.1/loopback');
  expect(await readFile(path)).toEqual(sound);
});

test('refuses what is not pinned', async () => {
  const { store } = await setUp();
  await expect(store.ensure({ name: 'etcd', version: '9.9.9' })).rejects.toMatchObject({
    code: 'unknown_version',
  });
  await expect(store.ensure({ name: 'etcd', version: '9.9.9' })).rejects.toThrow(
    'known versions of etcd: 3.7.3',
  );
  await expect(store.manifest({ name: '../..', version: 'x' })).rejects.toMatchObject({
    code: 'unknown_version',
  });
  expect(() => store.filePath(ref, '../manifest.json')).toThrow(
    expect.objectContaining({ code: 'not_found' }),
  );
});

test('does not take the mirror of another architecture', async () => {
  const { mirror, store } = await setUp();
  withoutGo();
  const path = '/cni-plugins-1.9.1/manifest.json';
  mirror.answers.set(path, String(mirror.answers.get(path)).replace(/"arch":"\w+"/, '"arch":"s390x"'));
  await expect(store.ensure(ref)).rejects.toThrow(/is of cni-plugins 1.9.1 for s390x/);
});

test('several callers and several processes fetch an artifact once', async () => {
  const { mirror, store, cacheDir } = await setUp();
  const program = `
    import { createArtifactStore } from ${JSON.stringify(join(import.meta.dirname, 'index.ts'))};
    const store = createArtifactStore(${JSON.stringify({ cacheDir, mirror: mirror.url, origins: nowhere })});
    console.log((await store.ensure(${JSON.stringify(ref)})).source);`;
  const other = () => exec(process.execPath, ['--input-type=module-typescript', '-e', program]);
  const results = await Promise.all([store.ensure(ref), store.ensure(ref), other(), other()]);
  expect(results.slice(2).map((r) => (r as { stdout: string }).stdout.trim())).toEqual(['mirror', 'mirror']);
  expect(asked(mirror, 'manifest.json')).toBe(1);
  expect(asked(mirror, 'bridge')).toBe(1);
});

function asked(mirror: Origin, file: string): number {
  return mirror.requests.filter((r) => r === `/cni-plugins-1.9.1/${file}`).length;
}

test('a full disk is told as such, and nothing else is tried', async () => {
  const { mirror, contents } = await setUp();
  const cacheDir = await temporaryDir();
  await mkdir(join(cacheDir, 'artifacts'));
  await exec('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', join(cacheDir, 'artifacts')]);
  onTestFinished(async () => void (await exec('umount', [join(cacheDir, 'artifacts')])));
  const store = createArtifactStore({ cacheDir, mirror: mirror.url, origins: nowhere });
  // Without a length, so that only the write itself can notice.
  const big = Buffer.alloc(1 << 20);
  mirror.answers.set('/cni-plugins-1.9.1/bridge', (response) => {
    response.writeHead(200, { 'transfer-encoding': 'chunked' });
    response.end(big);
  });
  await expect(store.ensure(ref)).rejects.toMatchObject({ code: 'insufficient_storage' });
  mirror.answers.set('/cni-plugins-1.9.1/bridge', big);
  await expect(store.ensure(ref)).rejects.toThrow(/is full: free some space there/);
  mirror.answers.set('/cni-plugins-1.9.1/bridge', contents.get('bridge')!);
  await store.ensure(ref);
});
