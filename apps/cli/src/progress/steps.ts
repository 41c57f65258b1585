import { duration, type Output } from '../output.ts';
import { describe, failureOf, type Report, runUntilInterrupted, type Step } from './step.ts';

/** Between two lines about one step where progress cannot be drawn in place (ms). */
const plainEveryMs = 5000;

/**
 * Runs steps one after the other, showing what, how far and how long: drawn in place on a terminal, otherwise a line for
 * each. A step that fails ends it.
 * @throws Failure naming the step; Interrupted when `signal` fired.
 */
export async function runSteps(steps: Step[], output: Output, signal: AbortSignal): Promise<void> {
  if (output.tty) {
    const { drawSteps } = await import('./draw.ts');
    await drawSteps(steps, signal);
    return;
  }
  for (const step of steps) await runPlainly(step, output, signal);
}

async function runPlainly(step: Step, output: Output, signal: AbortSignal): Promise<void> {
  const begun = performance.now();
  let saidAt = begun;
  let saidText = '';
  const report: Report = (text) => {
    if (performance.now() - saidAt < plainEveryMs || text === saidText) return;
    saidAt = performance.now();
    saidText = text;
    output.say(`… ${step.title}: ${text} (${duration(saidAt - begun)})`);
  };
  try {
    const outcome = await runUntilInterrupted(step, report, signal);
    output.say(`✓ ${describe(step.title, outcome, begun)}`);
  } catch (error) {
    throw failureOf(step, error, signal);
  }
}
