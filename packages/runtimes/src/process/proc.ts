import { readFileSync } from 'node:fs';

/** What identifies a process for as long as the machine is up: ids are reused, ids with a start time are not. */
export interface ProcessIdentity {
  pid: number;
  /** Clock ticks since boot (proc(5), field 22 of stat). */
  startTime: string;
}

export interface ProcessStat extends ProcessIdentity {
  /** R, S, D, T (stopped by a signal), Z (ended, not reaped), … */
  state: string;
  parent: number;
}

/** Parses the line of /proc/<pid>/stat. The name in parentheses may itself hold spaces and parentheses. */
export function parseStat(line: string): ProcessStat | undefined {
  const close = line.lastIndexOf(')');
  const fields = line.slice(close + 2).split(' ');
  const [state, parent, startTime] = [fields[0], fields[1], fields[19]];
  const pid = Number.parseInt(line, 10);
  if (close < 0 || !Number.isInteger(pid) || !state || !parent || !startTime) return undefined;
  return { pid, startTime, state, parent: Number(parent) };
}

/** Undefined when there is no such process. */
export function readStat(pid: number): ProcessStat | undefined {
  try {
    return parseStat(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return undefined;
  }
}

/** Whether that very process still runs: a zombie does not, nor does another one with the same id. */
export function isAlive(identity: ProcessIdentity): boolean {
  const stat = readStat(identity.pid);
  return stat !== undefined && stat.startTime === identity.startTime && !['Z', 'X'].includes(stat.state);
}

/** Sends a signal to that very process; false when it is gone. */
export function signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals): boolean {
  if (!isAlive(identity)) return false;
  try {
    process.kill(identity.pid, signal);
    return true;
  } catch {
    return false;
  }
}

let bootIdText: string | undefined;
/** Changes with each boot of the machine. */
export function bootId(): string {
  bootIdText ??= readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
  return bootIdText;
}
