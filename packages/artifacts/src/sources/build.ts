import { existsSync } from 'node:fs';
import { mkdir, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { builtSha256 } from '../built-hashes.ts';
import { corrupt, diskFull, saysDiskFull, unavailable } from '../errors.ts';
import { ensureToolchain, type Toolchain } from '../go-toolchain.ts';
import { hashFile } from '../manifest.ts';
import { throttle } from '../progress.ts';
import { type RunResult, run } from '../run.ts';
import { artifactId, type Recipe } from '../versions.ts';
import type { Job, Source } from './source.ts';

/**
 * A build from the pinned Go modules in `recipes/<name>-<version>/`. go.sum pins every source; the flags and the
 * toolchain make the output the same on every machine, so that it is pinned as well where two builds were compared.
 */
export function buildSource(goDir: string): Source {
  return {
    name: 'build',
    async fetch(job) {
      const { recipe } = job.release;
      if (!recipe) throw unavailable('it has no recipe to build it from Go modules');
      const cwd = join(recipesDir(), artifactId(job.release));
      if (!existsSync(join(cwd, 'go.sum'))) throw unavailable(`${cwd} is missing`);
      const toolchain = await ensureToolchain(goDir, job.arch, job.report);
      const env = await buildEnvironment(goDir, job);
      await compile(recipe, { toolchain, cwd, env, goDir }, job);
      if (toolchain.pinned) await checkPins(job);
      return {};
    },
  };
}

interface Setting {
  toolchain: Toolchain;
  cwd: string;
  env: Record<string, string>;
  goDir: string;
}

async function compile(recipe: Recipe, { toolchain, cwd, env, goDir }: Setting, job: Job): Promise<void> {
  const packages = Object.values(recipe.packages);
  const tests = Object.entries(recipe.tests ?? {});
  const flags = ['-trimpath', '-modcacherw', '-ldflags', linkerFlags(recipe)];
  const id = artifactId(job.release);
  const go = (args: string[], onLine: (line: string) => void) =>
    run(toolchain.go, args, { cwd, env, nice: true, onLine });

  job.report.step('build', `fetching the modules of ${id}`, { unit: 'packages' });
  const listed = await go(
    [
      'list',
      '-deps',
      ...(tests.length > 0 ? ['-test'] : []),
      ...flags,
      ...packages,
      ...tests.map(([, p]) => p),
    ],
    (line) => job.report.step('build', line.replace(/^go: /, ''), { unit: 'packages' }),
  );
  assertBuilt(listed, id, goDir);
  const total = listed.stdout.trim().split('\n').length;

  // `-v` names each package that is compiled; those that the build cache has are passed over, so this is "at most".
  let done = 0;
  const progress = throttle(200, () =>
    job.report.step('build', `compiling ${id}`, { done, total, unit: 'packages' }),
  );
  const count = (compiled: RegExp) => (line: string) => {
    if (compiled.test(line)) done += 1;
    progress();
  };
  const named = count(/^[\w.~-]+(\/[\w.~-]+)*$/);
  assertBuilt(await go(['build', '-v', ...flags, '-o', `${job.dir}/`, ...packages], named), id, goDir);
  for (const [file, pkg] of tests) {
    // `-v` is a flag of the tests here; `-x` shows each call of the compiler.
    const called = count(/\/compile -o .* -p /);
    assertBuilt(
      await go(['test', '-c', '-vet=off', '-x', ...flags, '-o', join(job.dir, file), pkg], called),
      id,
      goDir,
    );
  }
  job.report.step('build', `compiled ${id}`, { done: total, total, unit: 'packages' });
  for (const [file, pkg] of Object.entries(recipe.packages)) {
    const output = outputName(pkg);
    if (output !== file) await rename(join(job.dir, output), join(job.dir, file));
  }
}

function assertBuilt(result: RunResult, id: string, goDir: string): void {
  if (result.code === 0) return;
  const said = result.tail.join('\n');
  if (saysDiskFull(said)) throw diskFull(goDir);
  throw unavailable(`${id} cannot be built from Go modules: ${said}`);
}

async function checkPins(job: Job): Promise<void> {
  const pins = (job.arch === 'amd64' && builtSha256[artifactId(job.release)]) || {};
  for (const [file, expected] of Object.entries(pins)) {
    const { sha256 } = await hashFile(join(job.dir, file));
    if (sha256 === expected) continue;
    throw corrupt(
      `the built ${artifactId(job.release)}/${file} has the SHA-256 ${sha256} instead of ${expected}`,
    );
  }
}

/** Nothing that a user's Go settings say may change the output; where modules come from (GOPROXY, GOPRIVATE) is theirs. */
async function buildEnvironment(goDir: string, job: Job): Promise<Record<string, string>> {
  await mkdir(goDir, { recursive: true });
  return {
    GOPATH: goDir,
    GOMODCACHE: join(goDir, 'mod'),
    GOCACHE: join(goDir, 'build'),
    GOTMPDIR: job.scratch,
    GOFLAGS: '-mod=readonly -buildvcs=false',
    GOTOOLCHAIN: 'local',
    GOWORK: 'off',
    GOEXPERIMENT: '',
    GODEBUG: '',
    GOROOT: '',
    CGO_ENABLED: '0',
    GOOS: 'linux',
    GOARCH: job.arch,
    GOAMD64: 'v1',
    GOARM64: 'v8.0',
  };
}

function linkerFlags(recipe: Recipe): string {
  return ['-s -w', ...Object.entries(recipe.define).map(([name, value]) => `-X ${name}=${value}`)].join(' ');
}

/** The name `go build` gives a program: the last part of its package, but for a major version's suffix. */
function outputName(pkg: string): string {
  const parts = pkg.split('/');
  const last = parts.at(-1)!;
  return /^v\d+$/.test(last) ? parts.at(-2)! : last;
}

/** Where the recipes are. Found by walking up, as this file may be bundled into an app's `dist`. */
export function recipesDir(): string {
  for (let dir = import.meta.dirname; ; dir = dirname(dir)) {
    for (const candidate of ['recipes', 'packages/artifacts/recipes']) {
      if (existsSync(join(dir, candidate))) return join(dir, candidate);
    }
    if (dir === dirname(dir)) throw unavailable('the build recipes (packages/artifacts/recipes) are missing');
  }
}
