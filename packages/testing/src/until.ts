import { setTimeout as delay } from 'node:timers/promises';

/**
 * Waits until `look` gives something other than false, null or undefined, and returns that. An error that it throws is
 * "not yet".
 * @param options.withinMs 20 s by default; for conditions that come in their own time, not to measure it
 * @param options.everyMs how long between two looks; more where a look costs something, such as a process
 * @throws Error that names `what` and says what the last look threw, which is its cause too
 */
export async function until<T>(
  what: string,
  look: () => T | Promise<T>,
  options: { withinMs?: number; everyMs?: number } = {},
): Promise<NonNullable<Exclude<T, false>>> {
  const deadline = Date.now() + (options.withinMs ?? 20_000);
  for (;;) {
    let cause: unknown;
    try {
      const found = await look();
      if (found !== false && found !== null && found !== undefined)
        return found as NonNullable<Exclude<T, false>>;
    } catch (error) {
      cause = error;
    }
    if (Date.now() > deadline) {
      const last =
        cause === undefined ? '' : ` (last: ${cause instanceof Error ? cause.message : String(cause)})`;
      throw new Error(`It did not happen in time: ${what}${last}`, { cause });
    }
    await delay(options.everyMs ?? 10);
  }
}
