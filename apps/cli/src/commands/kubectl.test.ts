import { expect, test } from 'vitest';
import { Misuse } from '../errors.ts';
import { splitArguments } from './kubectl.ts';

/** Protects kubectl's own flags from being taken for ours. */
test.each([
  [['get', 'pods'], 'default', ['get', 'pods']],
  [['-e', 'b', 'get', 'pods'], 'b', ['get', 'pods']],
  [['--environment=b', 'exec', 'x', '--', '-e'], 'b', ['exec', 'x', '--', '-e']],
  [['exec', 'x', '-e', 'b'], 'default', ['exec', 'x', '-e', 'b']],
  [['-n', 'kube-system', 'get', '-e', 'x'], 'default', ['-n', 'kube-system', 'get', '-e', 'x']],
  [[], 'default', []],
])('%j', (args, environment, rest) => {
  expect(splitArguments(args)).toEqual({ environment, rest });
});

test('-e without a name is misuse', () => {
  expect(() => splitArguments(['-e'])).toThrow(Misuse);
});
