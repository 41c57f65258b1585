/** Where a command's answer goes. Answers go to stdout, everything said on the way to stderr. */
export interface Output {
  /** One line for people, on stderr. */
  say(line: string): void;
  /** The answer, in words. */
  print(text: string): void;
  json(value: unknown): void;
  /** Whether progress can be drawn in place. */
  tty: boolean;
}

export function standardOutput(): Output {
  return {
    say: (line) => void process.stderr.write(`${line}\n`),
    print: (text) => void process.stdout.write(`${text}\n`),
    json: (value) => void process.stdout.write(`${JSON.stringify(value, null, 2)}\n`),
    // A terminal that does not say how wide it is cannot be drawn on.
    tty: process.stderr.isTTY === true && process.stdout.isTTY === true && process.stdout.columns >= 40,
  };
}

/** Columns as wide as their widest cell, like kubectl's; an empty cell shows as `-`. */
export function table(header: string[], rows: string[][]): string {
  const all = [header, ...rows.map((row) => row.map((cell) => (cell === '' ? '-' : cell)))];
  const widths = header.map((_, i) => Math.max(...all.map((row) => (row[i] ?? '').length)));
  return all
    .map((row) => row.map((cell, i) => cell.padEnd((widths[i] ?? 0) + (i < row.length - 1 ? 3 : 0))).join(''))
    .map((line) => line.trimEnd())
    .join('\n');
}

/** Time since a moment, as kubectl shows ages: `12s`, `5m`, `3h`, `9d`. */
export function age(since: string | null | undefined, now = Date.now()): string {
  if (since === null || since === undefined) return '';
  const seconds = Math.max(0, Math.round((now - Date.parse(since)) / 1000));
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)}h`;
  return `${Math.floor(seconds / 86_400)}d`;
}

/** A span in words: `812 ms`, `4.3 s`, `2 min 5 s`. */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`;
}
