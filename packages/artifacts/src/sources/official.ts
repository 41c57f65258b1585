import { copyFile, mkdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { corrupt, unavailable } from '../errors.ts';
import { download, getText } from '../http.ts';
import { throttle } from '../progress.ts';
import { run } from '../run.ts';
import type { Download, OriginName } from '../versions.ts';
import type { Job, Source } from './source.ts';

/** What the projects themselves publish, checked against the checksum that they publish beside it. */
export function officialSource(origins: Readonly<Record<OriginName, string>>): Source {
  return {
    name: 'official',
    async fetch(job) {
      if (job.release.downloads(job.arch).length === 0) throw unavailable('nobody publishes it');
      for (const item of job.release.downloads(job.arch)) await fetchOne(item, origins[item.origin], job);
      return {};
    },
  };
}

async function fetchOne(item: Download, origin: string, job: Job): Promise<void> {
  const name = basename(item.path);
  const expected = checksumOf(await getText(`${origin}${item.checksumPath}`), name);
  if (expected === null) throw unavailable(`${origin}${item.checksumPath} has no SHA-256 of ${name}`);
  const target = join(item.file === undefined ? job.scratch : job.dir, item.file ?? name);
  const onBytes = throttle(200, (done: number, total: number) =>
    job.report.step('download', `${name} from ${new URL(origin).host}`, { done, total, unit: 'bytes' }),
  );
  const got = await download(`${origin}${item.path}`, target, onBytes);
  if (got.sha256 !== expected) {
    throw corrupt(`${origin}${item.path} has the SHA-256 ${got.sha256}; its publisher says ${expected}`);
  }
  if (item.members) await unpack(target, item.members, job);
}

async function unpack(archive: string, members: Record<string, string>, job: Job): Promise<void> {
  const dir = `${archive}.d`;
  await mkdir(dir, { recursive: true });
  job.report.step('download', `unpacking ${basename(archive)}`);
  const tar = await run('tar', ['-xzf', archive, '-C', dir, '--no-same-owner']);
  if (tar.code !== 0) throw corrupt(`${basename(archive)} cannot be unpacked: ${tar.tail.join(' ')}`);
  for (const [file, member] of Object.entries(members)) {
    await copyFile(join(dir, member), join(job.dir, file)).catch((error: NodeJS.ErrnoException) => {
      throw error.code === 'ENOENT' ? unavailable(`${basename(archive)} lacks ${member}`) : error;
    });
  }
}

/**
 * The SHA-256 that a checksum file gives for `name`: either the bare hash, or lines of `<hash>  <name>` as sha256sum
 * writes them. null where it has none.
 */
export function checksumOf(text: string, name: string): string | null {
  const lines = text
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([hash]) => /^[0-9a-f]{64}$/i.test(hash ?? ''));
  const line =
    lines.find((words) => words[1] !== undefined && basename(words[1].replace(/^\*/, '')) === name) ??
    (lines.length === 1 && lines[0]!.length === 1 ? lines[0] : undefined);
  return line?.[0]?.toLowerCase() ?? null;
}
