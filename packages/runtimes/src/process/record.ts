import { readFileSync } from 'node:fs';
import { bootId, type ProcessIdentity, parseStat } from './proc.ts';

/** What is on record of a run: written by the launcher as one line, `<boot> <restarts> <started ms> <stat>`. */
export interface RunRecord extends ProcessIdentity {
  restarts: number;
  startedAt: Date;
}

/** The part of the line that the agent knows beforehand. */
export function recordText(restarts: number, startedAt: Date): string {
  return `${bootId()} ${restarts} ${startedAt.getTime()}`;
}

/** Undefined when there is none, or none of this boot. */
export function readRecord(path: string): RunRecord | undefined {
  let line: string;
  try {
    line = readFileSync(path, 'latin1');
  } catch {
    return undefined;
  }
  const [boot, restarts, startedAt] = line.split(' ', 3);
  if (boot !== bootId() || restarts === undefined || startedAt === undefined) return undefined;
  const stat = parseStat(line.slice(boot.length + restarts.length + startedAt.length + 3));
  if (stat === undefined) return undefined;
  const { pid, startTime } = stat;
  return { pid, startTime, restarts: Number(restarts), startedAt: new Date(Number(startedAt)) };
}
