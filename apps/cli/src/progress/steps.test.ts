/** Protects what a user sees of long work: what, how far, how long; and that Ctrl-C ends the waiting. */
import { expect, test } from 'vitest';
import { Failure, Interrupted } from '../errors.ts';
import type { Output } from '../output.ts';
import { runSteps } from './steps.ts';

function recorder() {
  const lines: string[] = [];
  const output: Output = {
    say: (line) => void lines.push(line),
    print: () => {},
    json: () => {},
    tty: false,
  };
  return { lines, output };
}
const never = new AbortController().signal;

test('each step is a line with its outcome and its time', async () => {
  const { lines, output } = recorder();
  const steps = [
    { title: 'One', run: async () => 'already running' },
    { title: 'Two', run: async () => undefined },
  ];
  await runSteps(steps, output, never);
  expect(lines).toEqual([
    expect.stringMatching(/^✓ One: already running \(\d+ ms\)$/),
    expect.stringMatching(/^✓ Two \(/),
  ]);
});

test('a failure names the step, and ends it', async () => {
  const { lines, output } = recorder();
  const steps = [
    { title: 'One', run: () => Promise.reject(new Error('no space')) },
    { title: 'Two', run: async () => 'x' },
  ];
  await expect(runSteps(steps, output, never)).rejects.toThrow(new Failure('One: no space'));
  expect(lines).toEqual([]);
});

test('an interrupt ends the waiting, whatever the step does', async () => {
  const { output } = recorder();
  const interrupt = new AbortController();
  const running = runSteps([{ title: 'Build', run: () => new Promise(() => {}) }], output, interrupt.signal);
  interrupt.abort();
  await expect(running).rejects.toThrow(Interrupted);
});
