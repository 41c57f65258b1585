const windowMs = 60_000;
/** Failed authentications that one address may make in a window before it is answered 429. */
export const allowedFailures = 30;
const addressesKept = 10_000;

/**
 * Counts failed authentications by address. Only failures are held against an address: a right key always passes, so
 * that a client gone wild on this machine does not lock its owner out.
 */
export function createFailureLimit(now: () => number = Date.now) {
  const byAddress = new Map<string, { count: number; since: number }>();
  return {
    /** Counts one failure; gives the seconds to wait when there were too many, else 0. */
    failed(address: string): number {
      const entry = byAddress.get(address);
      if (entry === undefined || now() - entry.since >= windowMs) {
        byAddress.delete(address);
        if (byAddress.size >= addressesKept) byAddress.delete(byAddress.keys().next().value as string);
        byAddress.set(address, { count: 1, since: now() });
        return 0;
      }
      entry.count += 1;
      return entry.count > allowedFailures ? Math.ceil((entry.since + windowMs - now()) / 1000) : 0;
    },
  };
}
