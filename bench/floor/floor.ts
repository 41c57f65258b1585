/**
 * The floor that creation and recreation are measured against: the same programs with the same configuration, started
 * by hand, all at once, with certificates ready, in a network and mount namespace. Nothing of ours runs beside them.
 *
 *     node bench/floor/floor.ts create [--version V] [--samples N] [--in-order] [--artifacts DIR] [--keep-logs DIR]
 *                                      --in-order: each when what it needs is healthy, as the rooms say
 *     node bench/floor/floor.ts heal   …      bare start of each component in a cluster that runs
 *     node bench/floor/floor.ts hold   …      keeps the cluster until standard input ends, to look at it
 *
 * Prints one JSON object. Needs root and filled artifacts (`./rancher artifacts fetch`). Leaves nothing behind.
 */
import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { cpus, homedir, release, tmpdir, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { createArtifactStore } from '@rancher/artifacts';
import { artifactsOf, supportedVersions } from '@rancher/components';
import { cgroupVersion, makeCgroup, removeCgroup } from './cgroups.ts';
import type { Assignment, CreateSample, Result } from './inside.ts';

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    version: { type: 'string', default: supportedVersions.find((v) => v.default)?.version ?? '' },
    samples: { type: 'string', default: '3' },
    artifacts: { type: 'string', default: join(homedir(), '.cache/rancher/artifacts') },
    'keep-logs': { type: 'string' },
    'in-order': { type: 'boolean', default: false },
  },
});

// What runs from source knows no versions of our own programs: the build says them.
const versions = readFileSync(join(import.meta.dirname, '../../dist/programs/versions.json'), 'utf8');
globalThis.rancherProgramVersions = JSON.parse(versions) as typeof globalThis.rancherProgramVersions;
const store = createArtifactStore({ cacheDir: dirname(values.artifacts) });
for (const artifact of artifactsOf(values.version)) await store.ensure(artifact);

/** Runs one cluster in fresh namespaces, and clears up whatever happens. */
async function once(mode: Assignment['mode'], samples: number): Promise<Result> {
  const folder = mkdtempSync(join(tmpdir(), 'rancher-floor-'));
  const cgroupRoot = `/rancher-floor-${process.pid}`;
  makeCgroup(cgroupRoot);
  const assignment: Assignment = {
    mode,
    kubernetesVersion: values.version,
    cgroupRoot,
    artifacts: values.artifacts,
    folder,
    samples,
    programVersions: globalThis.rancherProgramVersions,
    // What runs only to be looked at, or restarted, is started the quiet way.
    inOrder: values['in-order'] || mode !== 'create',
  };
  try {
    await runInside(assignment);
    return JSON.parse(readFileSync(`${folder}/result.json`, 'utf8')) as Result;
  } finally {
    if (values['keep-logs']) cpSync(`${folder}/var/log`, values['keep-logs'], { recursive: true });
    await removeCgroup(cgroupRoot);
    rmSync(folder, { recursive: true, force: true });
  }
}

/** When the first process of the process namespace ends, the kernel ends all others, pods included. */
async function runInside(assignment: Assignment): Promise<void> {
  const inside = join(import.meta.dirname, 'inside.ts');
  const namespaces = ['-m', '-n', '-p', '-f', '-u', '-i', '--mount-proc', '--propagation', 'private'];
  const child = spawn(
    'unshare',
    [...namespaces, '--kill-child=SIGKILL', '--', process.execPath, inside, JSON.stringify(assignment)],
    { stdio: [assignment.mode === 'hold' ? 'inherit' : 'ignore', 'inherit', 'inherit'] },
  );
  const stop = () => child.kill('SIGKILL');
  process.once('SIGINT', stop).once('SIGTERM', stop);
  const code = await new Promise<number | null>((resolve) => child.once('exit', resolve));
  process.off('SIGINT', stop).off('SIGTERM', stop);
  if (code !== 0) throw new Error(`the host ended with ${code}`);
}

function median(numbers: number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;
}

async function createReport(samples: number) {
  const taken: CreateSample[] = [];
  for (let i = 0; i < samples; i++) taken.push((await once('create', 1)) as CreateSample);
  return {
    readyzMs: median(taken.map((s) => s.readyzMs)),
    nodeReadyMs: median(taken.map((s) => s.nodeReadyMs)),
    allHealthyMs: median(taken.map((s) => s.allHealthyMs)),
    samples: taken,
  };
}

async function healReport(samples: number) {
  const taken = (await once('heal', samples)) as Record<string, number[]>;
  const startMs = Object.fromEntries(Object.entries(taken).map(([name, ms]) => [name, median(ms)]));
  return { startMs, samples: taken };
}

const samples = Number(values.samples);
const machine = {
  kernel: release(),
  cpu: cpus()[0]?.model ?? '',
  cores: cpus().length,
  memoryBytes: totalmem(),
  cgroupVersion: cgroupVersion(),
};
const [mode] = positionals;
if (mode === 'hold') await once('hold', 1);
else if (mode === 'create' || mode === 'heal') {
  const figures = mode === 'create' ? await createReport(samples) : await healReport(samples);
  console.log(JSON.stringify({ mode, kubernetesVersion: values.version, ...figures, machine }, null, 2));
} else {
  console.error(
    'usage: floor.ts create|heal|hold [--version V] [--samples N] [--artifacts DIR] [--keep-logs DIR]',
  );
  process.exit(2);
}
