import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import type { Progress } from '../progress.ts';
import { createArtifactStore } from '../store.ts';
import { type Origin, sha256, startOrigin, temporaryDir } from '../testing.ts';
import { hostArch, releaseOf } from '../versions.ts';
import { checksumOf } from './official.ts';

const exec = promisify(execFile);
const hash = 'a'.repeat(64);

test.each([
  ['the bare hash, as Kubernetes has it', `${hash}`, hash],
  ['its own line', `${hash}  program\n`, hash],
  ['its line among others', `${'b'.repeat(64)}  other\n${hash}  program\n`, hash],
  ['a binary marker and a folder', `${hash} *./release/program\n`, hash],
  ['only another file', `${hash}  other\n`, null],
  ['a page of errors', '<html>not found</html>', null],
])('finds a checksum: %s', (_, text, expected) => {
  expect(checksumOf(text, 'program')).toBe(expected);
});

async function setUp() {
  const origin = await startOrigin();
  const store = createArtifactStore({
    cacheDir: await temporaryDir(),
    origins: { kubernetes: origin.url, github: origin.url },
  });
  const progress: Progress[] = [];
  return { origin, store, progress, onProgress: (p: Progress) => void progress.push(p) };
}

/** Packs files as their publisher does. */
async function tarball(files: Record<string, string>): Promise<Buffer> {
  const dir = await temporaryDir();
  for (const [path, content] of Object.entries(files)) {
    await mkdir(join(dir, 'in', path, '..'), { recursive: true });
    await writeFile(join(dir, 'in', path), content);
  }
  await exec('tar', ['-czf', join(dir, 'out.tgz'), '-C', join(dir, 'in'), '.']);
  return readFile(join(dir, 'out.tgz'));
}

function publish(origin: Origin, path: string, content: Buffer, checksum: string): void {
  origin.answers.set(path, content);
  origin.answers.set(checksum, `${sha256(content)}  ${path.split('/').at(-1)}\n`);
}

test('downloads single programs, each against its checksum', async () => {
  const { origin, store } = await setUp();
  const ref = { name: 'kubernetes', version: '1.37.2' };
  for (const file of releaseOf(ref).files) {
    const path = `/v1.37.2/bin/linux/${hostArch()}/${file}`;
    origin.answers.set(path, `program ${file}`);
    origin.answers.set(`${path}.sha256`, sha256(Buffer.from(`program ${file}`)));
  }
  expect(await store.ensure(ref)).toMatchObject({ source: 'official' });
  expect(await readFile(store.filePath(ref, 'kubelet'), 'utf8')).toBe('program kubelet');
});

test('unpacks an archive and keeps what belongs to the artifact', async () => {
  const { origin, store } = await setUp();
  const ref = { name: 'etcd', version: '3.7.3' };
  const folder = `etcd-v3.7.3-linux-${hostArch()}`;
  const archive = await tarball({
    [`${folder}/etcd`]: 'server',
    [`${folder}/etcdctl`]: 'client',
    [`${folder}/etcdutl`]: 'tool',
    [`${folder}/README.md`]: 'words',
  });
  const release = '/etcd-io/etcd/releases/download/v3.7.3';
  publish(origin, `${release}/${folder}.tar.gz`, archive, `${release}/SHA256SUMS`);
  expect(Object.keys((await store.ensure(ref)).files)).toEqual(['etcd', 'etcdctl', 'etcdutl']);
  expect(await readFile(store.filePath(ref, 'etcdctl'), 'utf8')).toBe('client');
});

test('refuses a download that is not what its publisher says, and goes on to the next source', async () => {
  const { origin, store, progress, onProgress } = await setUp();
  const ref = { name: 'runc', version: '1.5.2' };
  const release = '/opencontainers/runc/releases/download/v1.5.2';
  origin.answers.set(`${release}/runc.${hostArch()}`, 'something else');
  origin.answers.set(`${release}/runc.sha256sum`, `${hash}  runc.amd64\n${hash}  runc.arm64\n`);
  // The host's own runc stands in, and its real version is on record.
  expect(await store.ensure(ref, onProgress)).toMatchObject({
    version: '1.5.2',
    source: 'host',
    actualVersion: expect.stringMatching(/^1\./),
  });
  expect(progress.filter((p) => p.step === 'refused').length).toBe(2);
  expect(origin.requests.filter((r) => r.endsWith(hostArch())).length).toBe(2);
});
