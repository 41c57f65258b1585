import { Failure, Interrupted, messageOf } from '../errors.ts';
import { duration } from '../output.ts';

/** Says how far a step is, in a few words. */
export type Report = (text: string) => void;

export interface Step {
  title: string;
  /** Returns what there is to say of the outcome, such as `already running`. */
  run(report: Report, signal: AbortSignal): Promise<string | undefined>;
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
