import { basename, dirname } from 'node:path';
import { type Logger, pino } from 'pino';
import { createStream } from 'rotating-file-stream';

export type { Logger };

/** Fields that hold secrets, wherever they stand in a logged object down to three levels. */
const secretFields = [
  'authorization',
  'cookie',
  'token',
  'credential',
  'key',
  'secret',
  'password',
  'privateKeyPem',
  'databaseUrl',
  'redisUrl',
];
const redactedPaths = secretFields.flatMap((field) =>
  ['', '*.', '*.*.'].flatMap((prefix) => [
    `${prefix}${field}`,
    `${prefix}${field[0]?.toUpperCase()}${field.slice(1)}`,
  ]),
);

/**
 * A logger of JSON lines (pino). Secret fields are replaced by `[redacted]`.
 * @param options.file rotated at 10 MB, three old files kept beside it; without it lines go to standard output.
 */
export function createLogger(options: { name: string; level?: string; file?: string | undefined }): Logger {
  const settings = {
    name: options.name,
    level: options.level ?? 'info',
    redact: { paths: redactedPaths, censor: '[redacted]' },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
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
