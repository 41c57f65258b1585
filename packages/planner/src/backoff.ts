import type { FailureMemory } from '@rancher/domain';

/** Healthy for this long, and earlier failures are forgotten (DESIGN, "What happens when something breaks"). */
export const forgetAfterMs = 300_000;
const longestMs = 60_000;
/** Healthy for less than this before it failed, it never really ran. */
const shortLifeMs = 10_000;

/** How long after its n-th failure in a row an instance is started again: 0, 1, 2, 4 … 60 s. */
export function backoffMs(failures: number): number {
  if (failures <= 1) return 0;
  return Math.min(longestMs, 1000 * 2 ** Math.min(failures - 2, 10));
}

/** The memory with one more failure. `healthyForMs`: how long the instance that failed had been healthy; 0 = never. */
export function remembered(
  before: FailureMemory | undefined,
  failure: { at: number; reason: string; healthyForMs: number },
): FailureMemory {
  const forgotten = failure.healthyForMs >= forgetAfterMs;
  const count = before === undefined || forgotten ? 1 : before.count + 1;
  const shortLived = failure.healthyForMs < shortLifeMs ? (before?.shortLived ?? 0) + 1 : 0;
  return {
    count,
    lastAt: failure.at,
    lastReason: failure.reason,
    ...(shortLived === 0 ? {} : { shortLived }),
  };
}
