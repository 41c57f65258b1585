import { expect, it } from 'vitest';
import { isAlive, parseStat, readStat, signalProcess } from './proc.ts';

it('parses a name with spaces and parentheses', () => {
  const line = `42 (a) (b c) T 7 42 42 0 -1 4194560 1 0 0 0 1 2 0 0 20 0 1 0 998877 0 0`;
  expect(parseStat(line)).toEqual({ pid: 42, state: 'T', parent: 7, startTime: '998877' });
});

it('makes nothing of what is no stat line', () => {
  expect(parseStat('')).toBeUndefined();
  expect(parseStat('42 (x) R')).toBeUndefined();
});

it('tells a process from another one with the same id', () => {
  const own = readStat(process.pid)!;
  expect(isAlive(own)).toBe(true);
  expect(isAlive({ ...own, startTime: '1' })).toBe(false);
  expect(signalProcess({ ...own, startTime: '1' }, 'SIGKILL')).toBe(false);
});
