/** Milliseconds to wait after so many failures in a row: 0.2 s doubled up to 10 s, of which a random half to all. */
export function backoffMs(failures: number, random: () => number = Math.random): number {
  const most = Math.min(10_000, 200 * 2 ** Math.min(failures - 1, 10));
  return Math.round(most * (0.5 + random() / 2));
}
