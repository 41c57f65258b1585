import { appendFileSync, renameSync, statSync } from 'node:fs';

/** The agent's log: JSON lines, as the server's. Its own few lines, since the agent is to be small on every host. */
export interface Log {
  info(message: string, data?: Record<string, unknown>): void;
  warn(message: string, data?: Record<string, unknown>): void;
  error(message: string, data?: Record<string, unknown>): void;
}

const maxBytes = 10 * 1024 * 1024;

/** Logs to a file, kept below 10 MB with one old one beside it; without a file to standard error. */
export function createLog(name: string, file?: string): Log {
  let written = file === undefined ? 0 : sizeOf(file);
  const write = (level: string, msg: string, data: Record<string, unknown> = {}) => {
    const line = `${JSON.stringify({ level, time: new Date().toISOString(), name, msg, ...data })}\n`;
    if (file === undefined) return void process.stderr.write(line);
    try {
      if (written > maxBytes) {
        renameSync(file, `${file}.1`);
        written = 0;
      }
      appendFileSync(file, line, { mode: 0o640 });
      written += line.length;
    } catch {
      // A full disk must not take the agent down with its log.
    }
  };
  return {
    info: (message, data) => write('info', message, data),
    warn: (message, data) => write('warn', message, data),
    error: (message, data) => write('error', message, data),
  };
}

function sizeOf(file: string): number {
  try {
    return statSync(file).size;
  } catch {
    return 0;
  }
}

/** For tests, and for simulated hosts by the thousand. */
export const silentLog: Log = { info: () => {}, warn: () => {}, error: () => {} };
