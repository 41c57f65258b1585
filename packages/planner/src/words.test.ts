import { expect, it } from 'vitest';
import { exitWords, inWords, listWords } from './words.ts';

it.each([
  [0, '0 s'],
  [412, '0.41 s'],
  [9_990, '9.99 s'],
  [12_400, '12 s'],
  [60_000, '1 min'],
  [250_000, '4 min 10 s'],
  [7_380_000, '2 h 3 min'],
  [86_400_000, '1 d'],
  [273_600_000, '3 d 4 h'],
])('%i ms is %s', (ms, words) => {
  expect(inWords(ms)).toBe(words);
});

it('says how a process ended', () => {
  expect(exitWords({ code: null, signal: 'SIGKILL' })).toBe('signal SIGKILL');
  expect(exitWords({ code: 0, signal: null })).toBe('code 0');
  expect(exitWords(null)).toBe('it is not known how');
});

it('lists names', () => {
  expect([listWords([]), listWords(['a']), listWords(['a', 'b']), listWords(['a', 'b', 'c'])]).toEqual([
    '',
    'a',
    'a and b',
    'a, b and c',
  ]);
});
