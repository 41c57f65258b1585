/** The daemon's log: JSON lines on standard error, which the agent keeps and bounds. */
export interface Log {
  info(message: string, data?: Record<string, unknown>): void;
  warn(message: string, data?: Record<string, unknown>): void;
}

export function createLog(): Log {
  const write = (level: string, msg: string, data: Record<string, unknown> = {}) =>
    void process.stderr.write(
      `${JSON.stringify({ level, time: new Date().toISOString(), name: 'cni', msg, ...data })}\n`,
    );
  return {
    info: (message, data) => write('info', message, data),
    warn: (message, data) => write('warn', message, data),
  };
}

export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
