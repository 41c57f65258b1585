import { basename, dirname } from 'node:path';
import { type Logger, type LoggerOptions, pino } from 'pino';
import { createStream } from 'rotating-file-stream';
import { redact } from './redact.ts';

export type { Logger };

/**
 * A logger of JSON lines (pino). Secrets are taken out of the finished lines: `redact` knows them by field and by form.
 * @param options.file rotated at 10 MB, three old files kept beside it; without it lines go to standard output
 */
export function createLogger(options: { name: string; level?: string; file?: string | undefined }): Logger {
  const settings: LoggerOptions = {
    name: options.name,
    level: options.level ?? 'info',
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    hooks: { streamWrite: redact },
  };
  if (options.file === undefined) return pino(settings);
  const stream = createStream(basename(options.file), {
    path: dirname(options.file),
    size: '10M',
    rotate: 3,
    mode: 0o600,
  });
  // A full disk must not take the process down with its log.
  stream.on('error', (error) => process.stderr.write(`log file: ${error.message}\n`));
  return pino(settings, stream);
}
