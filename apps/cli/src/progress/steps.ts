import { Failure, Interrupted, messageOf } from '../errors.ts';
import { duration, type Output } from '../output.ts';

/** Says how far a step is, in a few words. */
export type Report = (text: string) => void;

export interface Step {
  title: string;
  /** Returns what there is to say of the outcome, such as `already running`. */
  run(report: Report, signal: AbortSignal): Promise<string | undefined>;
}

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

/** A step that does not look at the signal is left behind when it fires. */
export async function runUntilInterrupted(
  step: Step,
  report: Report,
  signal: AbortSignal,
): Promise<string | undefined> {
  signal.throwIfAborted();
  const interrupted = Promise.withResolvers<never>();
  const onAbort = () => interrupted.reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([step.run(report, signal), interrupted.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

export function describe(title: string, outcome: string | undefined, begun: number): string {
  return `${title}${outcome === undefined ? '' : `: ${outcome}`} (${duration(performance.now() - begun)})`;
}

export function failureOf(step: Step, error: unknown, signal: AbortSignal): Error {
  if (signal.aborted) return new Interrupted(`interrupted at: ${step.title}`);
  if (error instanceof Interrupted) return error;
  return new Failure(`${step.title}: ${messageOf(error)}`, { cause: error });
}
