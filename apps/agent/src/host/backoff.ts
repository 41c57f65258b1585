/** Before the nth restart in a row (0 = the first): 0, 1, 2, 4 … 60 s. */
export function backoffMs(failures: number): number {
  return failures === 0 ? 0 : Math.min(60_000, 1000 * 2 ** (failures - 1));
}
