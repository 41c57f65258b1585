/**
 * Kubernetes' own end-to-end suite, those specs that are marked as conformance, against an environment of two hosts:
 * `./rancher bench conformance [--focus REGEX]`. Another focus takes the place of the mark. Which specs are not run, and
 * why: `skipped.json`.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile } from 'node:fs/promises';
import { constants, setPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type ArtifactStore, createArtifactStore, sharedCacheDir } from '@rancher/artifacts';
import { artifactsOf } from '@rancher/components';
import { coredns } from '@rancher/testing';
import type { Installation } from '../../test/e2e/support/installation.ts';
import { withInstallation } from '../installation.ts';
import { type BenchmarkReport, report } from '../report.ts';
import { loadImages, makeImages } from './images.ts';
import { readResults, type SuiteResult } from './results.ts';
import { conformance, readSkipped, type Skipped, selectionFlags } from './selection.ts';

export const runs = 1;

/** Specs mostly wait, so that more of them than cores run side by side. */
const processes = 4;
const hosts = 2;
const longest = '4h';

export async function run(_count: number, options: { focus?: string } = {}): Promise<BenchmarkReport[]> {
  const focus = options.focus ?? conformance;
  const skipped = await readSkipped();
  const output = await mkdtemp(join(tmpdir(), 'rancher-conformance-'));
  say(`output: ${output}`);
  const result = await withInstallation('conformance', async (rancher) => {
    for (let n = 1; n < hosts; n++) await rancher.must(['host', 'add', '--local', '--wait']);
    return runSuite(rancher, { focus, skipped, output });
  });
  return [inReport(result, output)];
}

interface Wanted {
  focus: string;
  skipped: readonly Skipped[];
  /** Folder that the suite's log and reports are left in. */
  output: string;
}

/** Runs the suite against the first environment of an installation. Failures of specs are in the result, not thrown. */
export async function runSuite(rancher: Installation, wanted: Wanted): Promise<SuiteResult> {
  const { body } = await rancher.api('GET', '/v1/environments');
  const version: string = body.items[0].spec.kubernetesVersion;
  const cache = sharedCacheDir();
  const store = createArtifactStore({ cacheDir: cache });
  const suite = { name: 'kubernetes-e2e', version };
  for (const wants of [suite, coredns])
    await store.ensure(wants, ({ message, done, total }) =>
      say(`${message} ${total > 0 ? `${done} of ${total}` : ''}`),
    );
  say('making the images');
  await mkdir(join(wanted.output, 'images'));
  const archive = await makeImages(
    join(wanted.output, 'images'),
    join(cache, 'images'),
    programs(store, cache, version),
  );
  await loadImages(rancher, 'default', archive);
  const flags = [
    '--provider=skeleton',
    `--kubeconfig=${join(rancher.home, 'environments/default/kubeconfig')}`,
    `--kubectl-path=${store.filePath({ name: 'kubernetes', version }, 'kubectl')}`,
    `--num-nodes=${hosts}`,
    '--disable-log-dump',
  ];
  await ginkgo(store.filePath(suite, 'ginkgo'), store.filePath(suite, 'e2e.test'), flags, wanted);
  const report = join(wanted.output, 'report.json');
  if (!existsSync(report)) throw new Error(`the suite did not start: see ${wanted.output}/suite.log`);
  return readResults(await readFile(report, 'utf8'), wanted.focus, wanted.skipped);
}

function programs(store: ArtifactStore, cache: string, version: string) {
  const suite = { name: 'kubernetes-e2e', version };
  const ofHosts = (name: string) => artifactsOf(version).find((ref) => ref.name === name)!;
  return {
    agnhost: store.filePath(suite, 'agnhost'),
    nonewprivs: store.filePath(suite, 'nonewprivs'),
    sampleApiserver: store.filePath(suite, 'sample-apiserver'),
    coredns: store.filePath(coredns, 'coredns'),
    etcd: store.filePath(ofHosts('etcd'), 'etcd'),
    sources: join(cache, 'go/mod', `k8s.io/kubernetes@v${version}`),
  };
}

/** Runs Ginkgo to its end, behind everything else on the machine, and says how far it is. ^C ends it early, with a report. */
async function ginkgo(command: string, suite: string, flags: string[], wanted: Wanted): Promise<void> {
  const args = [
    `--procs=${processes}`,
    `--timeout=${longest}`,
    '--no-color',
    '-v',
    ...selectionFlags(wanted.focus, wanted.skipped),
    `--output-dir=${wanted.output}`,
    '--json-report=report.json',
    suite,
    '--',
    ...flags,
  ];
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], cwd: wanted.output });
  if (child.pid !== undefined) setPriority(child.pid, constants.priority.PRIORITY_BELOW_NORMAL);
  const log = createWriteStream(join(wanted.output, 'suite.log'));
  child.stderr.pipe(log, { end: false });
  const ended = { passed: 0, failed: 0 };
  let told = Date.now();
  createInterface({ input: child.stdout }).on('line', (line) => {
    log.write(`${line}\n`);
    if (/^• \[(FAILED|PANICKED|TIMEDOUT)\]/.test(line)) ended.failed += 1;
    else if (/^• \[/.test(line)) ended.passed += 1;
    if (Date.now() - told < 30_000) return;
    told = Date.now();
    say(`${ended.passed} passed, ${ended.failed} failed so far`);
  });
  const stop = () => child.kill('SIGINT');
  process.once('SIGINT', stop);
  await once(child, 'close');
  process.off('SIGINT', stop);
}

function inReport(result: SuiteResult, output: string): BenchmarkReport {
  const { passed, failed, notRun, conformanceSpecs } = result;
  const reasons = Map.groupBy(notRun, ({ why }) => why);
  return report({
    benchmark: 'conformance',
    aim: 'no spec that is run fails',
    samples: { 'seconds of a spec': passed.map(({ seconds }) => seconds) },
    notes: [
      `${passed.length} passed of ${passed.length + failed.length} run; the suite has ${conformanceSpecs} conformance specs`,
      ...failed.map(({ name, message, at }) => `FAILED ${name} (${at}): ${message}`),
      ...[...reasons].map(
        ([why, specs]) => `not run, ${specs.length}: ${why}: ${specs.map((s) => s.name).join('; ')}`,
      ),
      `log and report: ${output}`,
    ],
  });
}

let last = '';

/** Says on standard error what is done now; the same thing once. */
function say(what: string): void {
  if (what !== last) process.stderr.write(`conformance: ${what}\n`);
  last = what;
}
