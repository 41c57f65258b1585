const [s, min, h, d] = [
  { name: 's', seconds: 1 },
  { name: 'min', seconds: 60 },
  { name: 'h', seconds: 3600 },
  { name: 'd', seconds: 86_400 },
] as const;

/** The bigger unit, the smaller one, and up to how many seconds the two are used. */
const scales = [
  [min, s, 3600],
  [h, min, 86_400],
  [d, h, Number.POSITIVE_INFINITY],
] as const;

/** A duration for people: `0.41 s`, `12 s`, `4 min 10 s`, `2 h 3 min`, `3 d 4 h`. */
export function inWords(ms: number): string {
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 10) return `${Number(seconds.toFixed(2))} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const [big, small] = scales.find((s) => seconds < s[2]) ?? scales.at(-1)!;
  const whole = Math.floor(seconds / big.seconds);
  const rest = Math.floor((seconds - whole * big.seconds) / small.seconds);
  return rest === 0 ? `${whole} ${big.name}` : `${whole} ${big.name} ${rest} ${small.name}`;
}

/** How a process ended: `signal SIGKILL`, `code 1`, or `it is not known how`. */
export function exitWords(exit: { code: number | null; signal: string | null } | null): string {
  if (exit?.signal != null) return `signal ${exit.signal}`;
  if (exit?.code != null) return `code ${exit.code}`;
  return 'it is not known how';
}

/** `a`, `a and b`, `a, b and c`. */
export function listWords(items: readonly string[]): string {
  if (items.length < 2) return items.join('');
  return `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`;
}
