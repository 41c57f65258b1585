import { expect, test } from 'vitest';
import { readResults } from './results.ts';

const spec = (text: string, state: string, more: object = {}) => ({
  ContainerHierarchyTexts: ['[sig-network]', 'Services'],
  LeafNodeType: 'It',
  LeafNodeText: text,
  State: state,
  RunTime: 2_500_000_000,
  ...more,
});

const read = (...specs: object[]) =>
  readResults(JSON.stringify([{ SpecReports: specs }]), '\\[Conformance\\]', [
    { pattern: 'wants Alpine', why: 'no registry' },
  ]);

test('tells what passed, what failed and what was not run, and counts the conformance specs of the suite', () => {
  const failure = {
    Message: 'line 1\nline 2',
    Location: { FileName: 'k8s.io/kubernetes@v1.37.2/test/e2e/network/dns.go', LineNumber: 7 },
  };
  expect(
    read(
      spec('works [Conformance]', 'passed'),
      spec('breaks [Conformance]', 'failed', { Failure: failure }),
      spec('wants Alpine [Conformance]', 'skipped'),
      spec('wants IPv6 [Conformance]', 'skipped', { Failure: { Message: 'needs 2 families' } }),
      spec('is unfinished [Conformance]', 'pending'),
      spec('was never reached [Conformance]', 'skipped'),
      spec('is outside of the focus', 'skipped'),
    ),
  ).toEqual({
    conformanceSpecs: 6,
    passed: [{ name: '[sig-network] Services works [Conformance]', seconds: 2.5 }],
    failed: [
      {
        name: '[sig-network] Services breaks [Conformance]',
        message: 'line 1\nline 2',
        at: 'test/e2e/network/dns.go:7',
      },
    ],
    notRun: [
      { name: '[sig-network] Services wants Alpine [Conformance]', why: 'no registry' },
      { name: '[sig-network] Services wants IPv6 [Conformance]', why: 'needs 2 families' },
      { name: '[sig-network] Services is unfinished [Conformance]', why: 'pending in Kubernetes itself' },
      { name: '[sig-network] Services was never reached [Conformance]', why: 'the run ended before it' },
    ],
  });
});

test.each(['panicked', 'timedout', 'interrupted', 'aborted'])('%s is a failure', (state) => {
  expect(read(spec('x [Conformance]', state)).failed).toHaveLength(1);
});

test('a suite that could not be set up is a failure too', () => {
  const setUp = { ContainerHierarchyTexts: null, LeafNodeType: 'SynchronizedBeforeSuite', LeafNodeText: '' };
  expect(read(spec('', 'failed', setUp)).failed).toEqual([
    { name: '[SynchronizedBeforeSuite]', message: '', at: ':0' },
  ]);
});

test('an empty suite has no results', () => {
  expect(readResults('[{"SpecReports":null}]', 'x', [])).toEqual({
    conformanceSpecs: 0,
    passed: [],
    failed: [],
    notRun: [],
  });
});
