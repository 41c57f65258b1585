import { createHash } from 'node:crypto';
import { mkdir, symlink } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join as joinPath } from 'node:path';
import { createArtifactStore } from '@rancher/artifacts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRegistrationToken } from '../../../intent/registration-tokens.ts';
import { join } from '../../../testing/agent.ts';
import { type Harness, startHarness } from '../../../testing/harness.ts';

const cacheDir = joinPath(homedir(), '.cache', 'rancher');
const ref = { name: 'etcd', version: '3.7.3' };
const here = (await createArtifactStore({ cacheDir }).manifest(ref)) !== null;

let api: Harness;
let credential: string;
beforeAll(async () => {
  api = await startHarness();
  // The machine's own copy, where it has one: the files are large.
  const artifacts = joinPath(api.home, 'cache', 'artifacts');
  await mkdir(artifacts, { recursive: true });
  if (here) await symlink(joinPath(cacheDir, 'artifacts', 'etcd-3.7.3'), joinPath(artifacts, 'etcd-3.7.3'));
  const { token } = await api.database.prisma.$transaction((tx) =>
    createRegistrationToken(tx, { environmentId: null, description: '', maxUses: 1, expiresInSeconds: 60 }),
  );
  credential = (await join(api, token)).body.credential;
});
afterAll(() => api?.stop());

const get = (path: string, headers: Record<string, string> = {}, key: string | null = credential) =>
  api.call('GET', `/v1/agent/artifacts/${path}`, { key, headers });

describe('GET /v1/agent/artifacts/:name/:version/:file', () => {
  it.skipIf(!here)('200: the bytes that the manifest names, and 304 for who has them', async () => {
    const manifest = await get('etcd/3.7.3');
    expect(manifest.status, manifest.text).toBe(200);
    const { sha256, size } = manifest.body.files.etcd;
    const answer = await api.app.inject({
      method: 'GET',
      url: '/v1/agent/artifacts/etcd/3.7.3/etcd',
      headers: { authorization: `Bearer ${credential}` },
    });
    expect(answer.headers).toMatchObject({ etag: `"${sha256}"`, 'content-length': String(size) });
    expect(createHash('sha256').update(answer.rawPayload).digest('hex')).toBe(sha256);
    expect((await get('etcd/3.7.3/etcd', { 'if-none-match': `"${sha256}"` })).status).toBe(304);
  });

  it.skipIf(!here)('404: a file that is not of it', async () => {
    for (const file of ['nothing', 'manifest.json', 'constructor']) {
      expect((await get(`etcd/3.7.3/${file}`)).body).toMatchObject({ status: 404, code: 'not_found' });
    }
  });

  it('400: what is no name, and a version that is not pinned', async () => {
    expect((await get('etcd/3.7.3/..%2F..%2Fmaster.key')).body).toMatchObject({
      status: 400,
      code: 'invalid_value',
    });
    expect((await get('etcd/9.9.9')).body).toMatchObject({ status: 400, code: 'unknown_version' });
  });

  it('401: no credential, or an API key', async () => {
    for (const key of [null, api.keys.admin]) {
      expect((await get('etcd/3.7.3', {}, key)).body).toMatchObject({ status: 401, code: 'unauthenticated' });
    }
  });

  it('401: a host’s credential opens nothing else, and none of a removed host opens anything', async () => {
    expect((await api.call('GET', '/v1/environments', { key: credential })).status).toBe(401);
    await api.database.prisma.host.updateMany({ data: { removedAt: new Date() } });
    expect((await get('etcd/3.7.3')).status).toBe(401);
  });
});
