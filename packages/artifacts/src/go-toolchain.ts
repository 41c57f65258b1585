import { createHash } from 'node:crypto';
import { mkdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { asDomainError, corrupt, describe, unavailable } from './errors.ts';
import { download } from './http.ts';
import { withLock } from './lock.ts';
import { type Reporter, throttle } from './progress.ts';
import { goVariable, run } from './run.ts';
import { type Arch, goToolchain } from './versions.ts';
import { readZip } from './zip.ts';

/** Go's own default. */
const defaultProxy = 'https://proxy.golang.org';

export interface Toolchain {
  /** The `go` command. */
  go: string;
  /** Whether it is the pinned version, whose output has pinned checksums. */
  pinned: boolean;
}

/**
 * A Go that can build the recipes: the installed one where it is the pinned version, else the pinned version as a module
 * from the Go module proxy, kept in `goDir`; else an installed one that is new enough. Throws `artifact_unavailable`.
 */
export async function ensureToolchain(goDir: string, arch: Arch, report: Reporter): Promise<Toolchain> {
  const installed = await installedVersion();
  if (installed === goToolchain.version) return { go: 'go', pinned: true };
  const dir = join(goDir, 'toolchain', `go${goToolchain.version}`);
  const go = join(dir, 'bin', 'go');
  if (await exists(go)) return { go, pinned: true };
  try {
    await mkdir(dirname(dir), { recursive: true });
    const onWait = () => report.step('wait', 'another process fetches the Go toolchain');
    await withLock(`${dir}.lock`, onWait, async () => {
      if (!(await exists(go))) await fetchToolchain(dir, arch, report);
    });
    return { go, pinned: true };
  } catch (error) {
    if (installed === null || !isNewer(installed, goToolchain.version)) throw asDomainError(error, goDir);
    report.step('toolchain', `using the installed Go ${installed}: ${describe(error)}`);
    return { go: 'go', pinned: false };
  }
}

async function installedVersion(): Promise<string | null> {
  const { code, stdout } = await run('go', ['env', 'GOVERSION'], { env: { GOTOOLCHAIN: 'local' } });
  return code === 0 ? stdout.trim().replace(/^go/, '') : null;
}

function isNewer(version: string, than: string): boolean {
  return version.localeCompare(than, 'en', { numeric: true }) > 0;
}

async function fetchToolchain(dir: string, arch: Arch, report: Reporter): Promise<void> {
  const temporary = `${dir}.tmp`;
  await rm(temporary, { recursive: true, force: true });
  await mkdir(temporary, { recursive: true });
  const module = `golang.org/toolchain@v0.0.1-go${goToolchain.version}.linux-${arch}`;
  const zip = join(temporary, 'toolchain.zip');
  try {
    await downloadModule(module, zip, report);
    report.step('toolchain', `unpacking Go ${goToolchain.version}`);
    const h1 = await unpackModule(zip, module, join(temporary, 'go'));
    if (h1 !== goToolchain.h1[arch]) {
      throw corrupt(`${module} has the hash ${h1} instead of ${goToolchain.h1[arch]}`);
    }
    await rename(join(temporary, 'go'), dir);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

/** Asks each proxy of GOPROXY in turn, as `go` does for its own modules. */
async function downloadModule(module: string, file: string, report: Reporter): Promise<void> {
  const [path, version] = module.split('@') as [string, string];
  const onBytes = throttle(200, (done: number, total: number) =>
    report.step('toolchain', `Go ${goToolchain.version}`, { done, total, unit: 'bytes' }),
  );
  const problems: string[] = [];
  for (const proxy of await proxies()) {
    try {
      await download(`${proxy}/${path}/@v/${version}.zip`, file, onBytes);
      return;
    } catch (error) {
      problems.push(describe(error));
    }
  }
  throw unavailable(`no Go ${goToolchain.version}: ${problems.join('; ') || 'GOPROXY names no proxy'}`);
}

async function proxies(): Promise<string[]> {
  const told = await run('go', ['env', 'GOPROXY']);
  const list = (told.code === 0 && told.stdout.trim()) || goVariable('GOPROXY') || defaultProxy;
  return list
    .split(/[,|]/)
    .map((proxy) => proxy.trim().replace(/\/+$/, ''))
    .filter((proxy) => /^https?:\/\//.test(proxy));
}

/**
 * Unpacks a module zip without its `module@version/` prefix, and gives its `h1` hash: SHA-256, in base 64, over the
 * lines `<sha256>  <name>` of all files by name (golang.org/x/mod/sumdb/dirhash, Hash1).
 */
async function unpackModule(zip: string, module: string, dir: string): Promise<string> {
  const entries = await readZip(zip).catch((error: unknown) => {
    throw corrupt(`${module}: ${describe(error)}`);
  });
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  const summary = createHash('sha256');
  for (const entry of entries) {
    const path = entry.name.slice(module.length + 1);
    if (!entry.name.startsWith(`${module}/`) || path.split('/').includes('..')) {
      throw corrupt(`${module} has a file outside itself: ${entry.name}`);
    }
    const content = await entry.read();
    summary.update(`${createHash('sha256').update(content).digest('hex')}  ${entry.name}\n`);
    await mkdir(join(dir, dirname(path)), { recursive: true });
    await writeFile(join(dir, path), content, { mode: isProgram(path) ? 0o755 : 0o644 });
  }
  return `h1:${summary.digest('base64')}`;
}

/** Module zips carry no modes: `go` itself marks these when it unpacks a toolchain. */
function isProgram(path: string): boolean {
  return /^(bin|pkg\/tool)\//.test(path);
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
