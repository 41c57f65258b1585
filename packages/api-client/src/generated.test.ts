import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from '@hey-api/openapi-ts';
import { afterAll, beforeAll, expect, it } from 'vitest';
import config from '../openapi-ts.config.ts';

let fresh: string;
beforeAll(async () => {
  fresh = await mkdtemp(join(tmpdir(), 'rancher-test-client-'));
});
afterAll(() => rm(fresh, { recursive: true, force: true }));

async function filesOf(dir: string): Promise<Record<string, string>> {
  const names = (await readdir(dir, { recursive: true })).filter((name) => name.endsWith('.ts')).sort();
  return Object.fromEntries(
    await Promise.all(names.map(async (name) => [name, await readFile(join(dir, name), 'utf8')])),
  );
}

it('is what openapi/v1.json gives (else: npm run openapi -w @rancher/api-client)', async () => {
  const { output, ...rest } = await config;
  await createClient({
    ...rest,
    input: new URL('../../../openapi/v1.json', import.meta.url).pathname,
    output: { ...(output as object), path: fresh },
    logs: { level: 'silent' },
  });
  const committed = await filesOf(new URL('./generated', import.meta.url).pathname);
  expect(Object.keys(committed)).not.toEqual([]);
  expect(await filesOf(fresh)).toEqual(committed);
});
