import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { createReporter } from '../progress.ts';
import { createArtifactStore } from '../store.ts';
import { hostArch, nodeArtifact, releaseOf } from '../versions.ts';
import { installationSource } from './installation.ts';

async function folder(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'rancher-installation-'));
  onTestFinished(() => rm(dir, { recursive: true }));
  return dir;
}

async function fetchProgram(version: string) {
  const [programs, dir] = [await folder(), await folder()];
  const ref = { name: 'rancher-agent', version };
  await writeFile(join(programs, 'agent.mjs'), 'content');
  const report = createReporter(ref, () => {});
  const job = { release: releaseOf(ref), arch: hostArch(), dir, scratch: dir, report };
  await installationSource(() => programs).fetch(job);
  return readFile(join(dir, 'agent.mjs'), 'utf8');
}

test('gives a program of ours in the version that is built', async () => {
  const digits = createHash('sha256').update('content').digest('hex').slice(0, 12);
  expect(await fetchProgram(`0.1.0-${digits}`)).toBe('content');
});

test.each(['0.1.0-000000000000', '0.1.0', 'unbuilt', ''])(
  'refuses the version %j, which is not the one that is built',
  async (version) => {
    await expect(fetchProgram(version)).rejects.toMatchObject({
      code: 'artifact_unavailable',
      message: expect.stringContaining('another build'),
    });
  },
);

test('gives the Node that runs this, and no other', async () => {
  const store = createArtifactStore({ cacheDir: await folder() });
  const ref = nodeArtifact();
  expect(await store.ensure(ref)).toMatchObject({ ...ref, source: 'installation' });
  expect((await readFile(store.filePath(ref, 'node'))).equals(await readFile(process.execPath))).toBe(true);
  await expect(store.ensure({ ...ref, version: '1.2.3' })).rejects.toMatchObject({
    code: 'artifact_unavailable',
    message: expect.stringContaining(process.versions.node),
  });
});
