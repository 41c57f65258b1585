/**
 * Clients in any language work: a Python client is generated from the committed OpenAPI document, and creates an
 * environment with it.
 */

import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sharedCacheDir } from '@rancher/artifacts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createInstallation, type Installation, run } from '../support/installation.ts';

const here = import.meta.dirname;
const cache = sharedCacheDir();
let rancher: Installation;
let work: string;

beforeAll(async () => {
  work = await mkdtemp(join(tmpdir(), 'rancher-python-'));
  rancher = await createInstallation('python');
  await rancher.must(['up']);
});

afterAll(async () => {
  await rancher?.purge();
  await rm(work, { recursive: true, force: true });
});

async function must(
  command: string,
  args: string[],
  options: Parameters<typeof run>[2] = {},
): Promise<string> {
  const { code, stdout, stderr } = await run(command, args, options);
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} → ${code}\n${stdout}\n${stderr}`);
  return stdout;
}

/** The pinned generator, in the cache under the hash of its pins. */
async function generator(): Promise<string> {
  const requirements = join(here, 'requirements.txt');
  const pins = createHash('sha256')
    .update(await readFile(requirements))
    .digest('hex')
    .slice(0, 16);
  const venv = join(cache, 'python', pins);
  const done = join(venv, 'complete');
  if (!existsSync(done)) {
    await rm(venv, { recursive: true, force: true });
    await must('/usr/bin/python3', ['-m', 'venv', venv]);
    await must(join(venv, 'bin/python'), ['-m', 'pip', 'install', '--quiet', '--requirement', requirements]);
    await writeFile(`${done}.new`, '');
    await rename(`${done}.new`, done);
  }
  return join(venv, 'bin');
}

test('a generated Python client creates an environment, sees it active, and removes it', async () => {
  const bin = await generator();
  const config = join(work, 'generator.yml');
  await writeFile(config, 'package_name_override: rancher_client\npost_hooks: []\n');
  const document = join(here, '../../../openapi/v1.json');
  const target = join(work, 'rancher_client');
  const generate = [
    'generate',
    '--path',
    document,
    '--config',
    config,
    '--output-path',
    target,
    '--meta',
    'none',
  ];
  const output = await must(join(bin, 'openapi-python-client'), [...generate, '--fail-on-warning']);
  expect(output).not.toMatch(/warning/i);
  const script = [
    join(here, 'create_environment.py'),
    rancher.url,
    join(rancher.home, 'admin.key'),
    'from-python',
  ];
  const said = await must(join(bin, 'python'), script, { env: { PYTHONPATH: work } });
  expect(said).toMatch(/^created env_\w+\nactive 1\.37\.2\nremoved\n$/);
});
