import { expect, test } from 'vitest';
import { conformance, parseSkipped, readSkipped, selectionFlags, whySkipped } from './selection.ts';

const skipped = [{ pattern: '\\[Driver: csi', why: 'no driver' }];

test('each entry of the committed list has a pattern that compiles, and a reason', async () => {
  expect((await readSkipped()).length).toBeGreaterThan(0);
});

test.each([
  ['no reason', '[{"pattern":"a"}]', 'entry 0'],
  ['an empty reason', '[{"pattern":"a","why":"b"},{"pattern":"a","why":" "}]', 'entry 1'],
  ['no pattern', '[{"why":"a"}]', 'entry 0'],
  ['a broken pattern', '[{"pattern":"(","why":"a"}]', 'Invalid regular expression'],
])('refuses %s', (_what, text, says) => {
  expect(() => parseSkipped(text)).toThrow(says);
});

test('a spec is skipped by the reason of the first entry that matches', () => {
  expect(whySkipped('[sig-storage] [Driver: csi-hostpath] should work', skipped)).toBe('no driver');
  expect(whySkipped('[sig-storage] Driver: csi', skipped)).toBeUndefined();
});

test('gives Ginkgo the same focus and patterns', () => {
  expect(selectionFlags(conformance, skipped)).toEqual([
    '--focus=\\[Conformance\\]',
    '--skip=\\[Driver: csi',
  ]);
});
