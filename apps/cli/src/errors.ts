/** Exit codes that scripts rely on. */
export const exitCodes = { success: 0, failure: 1, misuse: 2, interrupted: 130 } as const;

/** Something did not work, although it was asked for rightly: exit code 1. */
export class Failure extends Error {
  override name = 'Failure';
}

/** A failure whose message is a text of its own, not a line after the program's name. */
export class Refusal extends Failure {
  override name = 'Refusal';
}

/** It was asked for wrongly: names the argument or flag, what was wrong and what would be right. Exit code 2. */
export class Misuse extends Error {
  override name = 'Misuse';
}

/** The user pressed Ctrl-C. Exit code 130, as shells have it. */
export class Interrupted extends Error {
  override name = 'Interrupted';
}

export function exitCodeOf(error: unknown): number {
  if (error instanceof Misuse) return exitCodes.misuse;
  if (error instanceof Interrupted) return exitCodes.interrupted;
  return exitCodes.failure;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
