/** Reads the JSON report of Ginkgo (github.com/onsi/ginkgo/v2/types, `Report`), which has every spec of the suite. */
import { type Skipped, whySkipped } from './selection.ts';

export interface SpecFailure {
  name: string;
  /** The first lines of what the spec said. */
  message: string;
  /** `file:line` in Kubernetes' source. */
  at: string;
}

export interface SuiteResult {
  /** Specs of the suite that are marked as conformance, run or not. */
  conformanceSpecs: number;
  /** Names and seconds of those that passed. */
  passed: { name: string; seconds: number }[];
  failed: SpecFailure[];
  /** Specs within the focus that were not run, and why. */
  notRun: { name: string; why: string }[];
}

interface GinkgoSpec {
  ContainerHierarchyTexts: string[] | null;
  LeafNodeType: string;
  LeafNodeText: string;
  State: string;
  /** Nanoseconds. */
  RunTime: number;
  Failure?: { Message?: string; Location?: { FileName?: string; LineNumber?: number } };
}

const failedStates = ['failed', 'panicked', 'timedout', 'interrupted', 'aborted'];

/** What became of the specs that `focus` names. What failed outside of the specs (setting up the suite) is a failure too. */
export function readResults(json: string, focus: string, skipped: readonly Skipped[]): SuiteResult {
  const reports = JSON.parse(json) as { SpecReports: GinkgoSpec[] | null }[];
  const result: SuiteResult = { conformanceSpecs: 0, passed: [], failed: [], notRun: [] };
  const wanted = new RegExp(focus);
  for (const spec of reports.flatMap((report) => report.SpecReports ?? [])) {
    const name = nameOf(spec);
    if (failedStates.includes(spec.State)) result.failed.push(failureOf(name, spec));
    if (spec.LeafNodeType !== 'It') continue;
    if (name.includes('[Conformance]')) result.conformanceSpecs += 1;
    if (spec.State === 'passed') result.passed.push({ name, seconds: spec.RunTime / 1e9 });
    if (spec.State === 'skipped' || spec.State === 'pending') {
      if (wanted.test(name)) result.notRun.push({ name, why: reasonOf(name, spec, skipped) });
    }
  }
  return result;
}

function nameOf(spec: GinkgoSpec): string {
  const text = [...(spec.ContainerHierarchyTexts ?? []), spec.LeafNodeText].join(' ').trim();
  return text === '' ? `[${spec.LeafNodeType}]` : text;
}

function failureOf(name: string, { Failure }: GinkgoSpec): SpecFailure {
  const file = Failure?.Location?.FileName?.replace(/^.*?k8s\.io\/kubernetes(@[^/]*)?\//, '') ?? '';
  const message = (Failure?.Message ?? '').split('\n').slice(0, 6).join('\n').slice(0, 600);
  return { name, message, at: `${file}:${Failure?.Location?.LineNumber ?? 0}` };
}

function reasonOf(name: string, spec: GinkgoSpec, skipped: readonly Skipped[]): string {
  return (
    whySkipped(name, skipped) ??
    (spec.Failure?.Message ||
      (spec.State === 'pending' ? 'pending in Kubernetes itself' : 'the run ended before it'))
  );
}
